"""Scores -> people -> a verdict and the words for it. Pure functions."""
