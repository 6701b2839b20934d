"""Checks of a checkpoint before a library opens it."""
