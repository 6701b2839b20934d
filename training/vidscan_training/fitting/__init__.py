"""The training loop: networks, schedules, checkpoints."""
