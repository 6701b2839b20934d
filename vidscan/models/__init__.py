"""Networks: their cards, checkpoints, runtimes, checks of untrusted files, and heat maps."""
