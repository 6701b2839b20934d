"""Pure geometry of boxes: overlap, and which detections show one face."""

from __future__ import annotations

from collections.abc import Iterable

from vidscan.records import Box, Detection


def shared_area(a: Box, b: Box) -> float:
    """Returns the area that two boxes share, in square pixels."""
    width = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    height = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return width * height if width > 0 and height > 0 else 0.0


def intersection_over_union(a: Box, b: Box) -> float:
    """Returns the Jaccard overlap of two boxes, 0-1."""
    shared = shared_area(a, b)
    return shared / (a.w * a.h + b.w * b.h - shared) if shared else 0.0


SAME_FACE_OVERLAP = 0.3
"""Boxes whose intersection over union exceeds this show one face: BlazeFace's own figure for non-maximum
suppression."""


def merge_detections(detections: Iterable[Detection]) -> list[Detection]:
    """Drops every detection that shows the same face as an earlier one."""
    kept: list[Detection] = []
    for detection in detections:
        if not any(same_face(detection.box, other.box) for other in kept):
            kept.append(detection)
    return kept


def same_face(a: Box, b: Box) -> bool:
    """Tells whether two boxes overlap, or the centre of one lies inside the other (a face within a face)."""
    return intersection_over_union(a, b) > SAME_FACE_OVERLAP or holds_centre(a, b) or holds_centre(b, a)


def holds_centre(outer: Box, inner: Box) -> bool:
    """Tells whether the centre of ``inner`` lies inside ``outer``."""
    x, y = inner.x + inner.w / 2, inner.y + inner.h / 2
    return outer.x <= x <= outer.x + outer.w and outer.y <= y <= outer.y + outer.h
