"""Makes checkpoints: crops, augmentation, fitting, evaluation. Imports vidscan, never the reverse."""
