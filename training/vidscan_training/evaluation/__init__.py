"""Metrics, calibration, robustness, and the reports of an evaluation."""
