"""Folders of face crops: extraction, landmarks, splits by person."""
