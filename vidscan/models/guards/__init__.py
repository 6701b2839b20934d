"""Checks a checkpoint before a library opens it."""
