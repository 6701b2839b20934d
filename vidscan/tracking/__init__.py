"""Joins the faces of successive frames to shots, tracks and people. Pure functions."""
