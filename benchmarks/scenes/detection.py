"""How many faces are found, what is taken for one, and what looking costs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from scenes.following import NewWatcher, as_frame
from scenes.pasted import BELOW_MIN_FACE, SIZES
from scenes.truth import Face, Scene, match
from vidscan.faces.search import FaceSearch
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Frame
from vidscan.scan.watcher import Watcher
from vidscan.tracking.shots import CutFinder


@dataclass
class Counted:
    """By size: faces that were there, those of them found, boxes that show somebody, and boxes that do not.

    A box's size is that of :func:`nearest_size`.
    """

    there: Counter[int] = field(default_factory=Counter)
    found: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    wrong: Counter[int] = field(default_factory=Counter)

    def add(self, boxes: Sequence[Box], faces: Sequence[Face]) -> None:
        """Notes one frame. Faces that do not count are neither missed nor wrong."""
        self.there.update(face.size for face in faces if face.counted)
        for box, face in zip(boxes, match(boxes, faces), strict=True):
            if face is None:
                self.wrong[nearest_size(box.longer_side)] += 1
            elif face.counted:
                self.found[face.size] += 1
                self.right[nearest_size(box.longer_side)] += 1

    def recall(self, size: int | None = None) -> float | None:
        """Share of the faces (of a size) that were found; None where there were none."""
        return _share(self.found, self.there, size)

    def precision(self, size: int | None = None) -> float | None:
        """Share of the boxes (of a size) that show somebody; None where there were none."""
        return _share(self.right, self.right + self.wrong, size)


def _share(some: Counter[int], every: Counter[int], size: int | None) -> float | None:
    part, whole = (some.total(), every.total()) if size is None else (some[size], every[size])
    return part / whole if whole else None


def nearest_size(side: float) -> int:
    """The size of the scenes that comes next to a box's longer side, as a ratio."""
    return min(
        (size for size in SIZES if size != BELOW_MIN_FACE), key=lambda size: max(size / side, side / size)
    )


def count(scenes: Iterable[Scene], new_watcher: NewWatcher) -> Counted:
    """Looks at all frames of all scenes."""
    counted = Counted()
    for scene in scenes:
        watcher = new_watcher()
        for frame in scene.frames():
            found = watcher.look(as_frame(frame))
            counted.add([face.box for face in found], frame.faces)
    return counted


@dataclass
class Spent:
    """Processor seconds over so many frames.

    ``plain``: the plain detector's. ``search``: the product's search for faces. ``watching``: that and all
    else that is done before faces are cut out: cuts, quality, looks, tracks.
    """

    frames: int = 0
    plain: float = 0.0
    search: float = 0.0
    watching: float = 0.0


def cost(scenes: Iterable[Iterable[Frame]], detector: FaceDetector, *, plain: bool) -> Spent:
    """All look at each frame in turn, so that a busy machine slows all; ``plain``: the detector alone."""
    spent = Spent()
    for frames in scenes:
        cuts, search = CutFinder(), FaceSearch(detector, DetectionOptions())
        watcher = Watcher(detector, DetectionOptions(), still=False)
        for frame in frames:
            spent.frames += 1
            spent.plain += _processor_seconds(partial(detector.detect, frame.image))
            if not plain:
                new_shot = cuts.is_cut(frame.image)
                spent.search += _processor_seconds(partial(search.find, frame.image, new_shot=new_shot))
                spent.watching += _processor_seconds(partial(watcher.look, frame))
    return spent


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
