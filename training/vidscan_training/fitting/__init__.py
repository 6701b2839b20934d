"""The training loop: networks, schedules, checkpoints, cached features."""
