"""CLIP's image tower: weights, Keras network, ONNX graph, quantisation."""
