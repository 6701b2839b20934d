"""Runs scenes through what a scan does before it scores, or through the plain detector; no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from scenes.truth import Face, Scene, SceneFrame, match
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import FaceSeen, Frame, Sighting
from vidscan.scan.watcher import Watcher
from vidscan.tracking.tracks import Tracker


class Watching(Protocol):
    """What ``vidscan.scan.watcher.Watcher`` does."""

    cuts_s: list[float]

    def look(self, frame: Frame) -> list[FaceSeen]:
        """The faces in the next frame."""
        ...

    def persons(self) -> dict[int, int]:
        """The person of every track so far."""
        ...


NewWatcher = Callable[[], Watching]
"""Makes new ones: none may remember an earlier scene."""


class PlainWatcher:
    """The plain detector on whole frames, which sees no cuts; tracks by place and motion alone."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector, self._tracker = detector, Tracker()
        self._tracks: set[int] = set()
        self.cuts_s: list[float] = []

    def look(self, frame: Frame) -> list[FaceSeen]:
        """The faces in the next frame."""
        found = self._detector.detect(frame.image)
        seen = [Sighting(frame.index, frame.time_s, each.box, each.confidence) for each in found]
        tracks = self._tracker.add(seen) if seen else []
        self._tracks.update(tracks)
        return [
            FaceSeen(frame.source_id, frame.index, frame.time_s, each.box, each.confidence, track=track)
            for each, track in zip(found, tracks, strict=True)
        ]

    def persons(self) -> dict[int, int]:
        """Each track by itself."""
        return {track: track for track in self._tracks}


def watchers(detector: FaceDetector, *, plain: bool, still: bool = False) -> NewWatcher:
    """The plain detector's, or the product's."""
    if plain:
        return partial(PlainWatcher, detector)
    return partial(Watcher, detector, DetectionOptions(), still=still)


def as_frame(frame: SceneFrame) -> Frame:
    """A scene's frame without its truth."""
    return Frame("scene", frame.index, frame.time_s, frame.image)


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame's truth, without its picture."""

    faces: tuple[Face, ...]
    shot: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A face that was found; ``face`` is whose it is, None where there is none, ``shot`` the true one."""

    face: Face | None
    shot: int
    track: int
    person: int


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of one scene. ``cuts`` are the frames that were taken for a shot's first."""

    moments: tuple[Moment, ...]
    seen: tuple[Seen, ...]
    cuts: frozenset[int]


def follow(scene: Scene, watcher: Watching) -> Followed:
    """Watches a scene to its end."""
    moments: list[Moment] = []
    shown: list[tuple[Face | None, int, int]] = []
    cuts: set[int] = set()
    for frame in scene.frames():
        cuts_before = len(watcher.cuts_s)
        found = watcher.look(as_frame(frame))
        if len(watcher.cuts_s) > cuts_before:
            cuts.add(frame.index)
        moments.append(Moment(frame.faces, frame.shot))
        whose = _whose(found, frame.faces)
        shown += [(face, frame.shot, each.track) for face, each in zip(whose, found, strict=True)]
    persons = watcher.persons()
    seen = (Seen(face, shot, track, persons[track]) for face, shot, track in shown)
    return Followed(tuple(moments), tuple(seen), frozenset(cuts))


def _whose(found: Sequence[FaceSeen], faces: Sequence[Face]) -> list[Face | None]:
    return match([each.box for each in found], faces)
