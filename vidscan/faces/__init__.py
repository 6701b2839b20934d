"""Faces in one frame: detection, search, crops and quality."""
