"""Made scenes whose truth is known: who is where in every frame, and where one shot ends.

``truth`` has the records; ``portraits``, ``pasted`` and ``walks`` paste portraits over pictures that show
nobody; ``footage`` lays clips of FaceForensics++ side by side, one after the other, or turned; ``tiled``
writes clips to scan. ``following``, ``detection``, ``identities`` and ``verdicts`` measure, ``bench`` has
what the sections share, ``tables`` prints. Everything is drawn from a seed; nothing of the data is kept.
"""
