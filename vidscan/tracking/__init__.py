"""Faces of successive frames joined to shots, tracks and people."""
