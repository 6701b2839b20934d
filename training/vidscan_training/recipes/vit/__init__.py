"""The second network: CLIP's image tower with a linear head, from its port to the bundled checkpoint.

``port`` builds the tower, ``faces`` cuts faces out, ``views`` degrades them, ``features`` caches what the
tower makes of them, ``probe`` fits the head, ``folds`` measures it on sources left out, ``fusion`` calibrates
both networks as one detector, and ``graph`` writes the ONNX file. ``python -m vidscan_training.recipes.vit``
runs each step.
"""
