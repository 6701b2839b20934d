"""Runs the pipeline on a Ray cluster."""
