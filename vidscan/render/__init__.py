"""Draws the findings into pictures and videos."""
