"""Source -> FaceCrop: reads source after source, and puts a Reading of each into a ledger.

The crops of many sources flow in one stream, so that batches fill across files. What no batch can carry
(a failure, a count of frames, a time taken) goes from the reading thread to the collecting thread as a
:class:`Reading`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import cv2

from vidscan.errors import SourceError, VidscanError, escaped, quoted
from vidscan.faces.bars import Area, picture_area
from vidscan.faces.crops import crop_faces
from vidscan.faces.mouths import MouthCutter
from vidscan.media.clip import Clip
from vidscan.media.frames import require_content
from vidscan.media.scratch import Scratch
from vidscan.media.sources import stamp_of
from vidscan.media.stills.animation import Animation, is_animation
from vidscan.media.stills.photograph import Photograph
from vidscan.options import SamplingOptions, ScanOptions
from vidscan.protocols import FaceDetector, Landmarker, Observer
from vidscan.provenance.reading import ProvenanceReader
from vidscan.records import (
    ErrorInfo,
    FaceCrop,
    FaceSeen,
    Frame,
    Geometry,
    Provenance,
    Remark,
    Source,
    SourceFacts,
    SourceKind,
    Stats,
)
from vidscan.scan.watcher import Watcher
from vidscan.system.files import file_facts

SOURCE_FAILURES = (VidscanError, OSError, ValueError, MemoryError, cv2.error)
"""Exceptions that fail one source. Any other is a fault in vidscan itself and ends the run."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What comes of reading one source, for the thread that collects.

    ``started`` is a time of ``time.perf_counter``. ``stats`` lacks what scoring adds; its ``crops_scored``
    are the crops that were sent to be scored, each view of a still's face by itself. ``unjudged`` are the
    faces too small for that, ``persons`` the person of each track, ``streams`` the number of the video
    stream that shows it. ``provenance`` is what the file says of itself. ``error`` is None for a source that
    was read to its end.
    """

    source: Source
    started: float = field(default_factory=time.perf_counter)
    stats: Stats = field(default_factory=Stats)
    facts: SourceFacts | None = None
    unjudged: tuple[FaceSeen, ...] = ()
    persons: Mapping[int, int] = field(default_factory=dict)
    streams: Mapping[int, int] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    provenance: Provenance | None = None
    error: ErrorInfo | None = None


Ledger = deque[Reading]
"""Readings of sources that will give no further crop, oldest first.

One thread appends and another pops; both are single operations of a deque, which are atomic.
"""


class _Notes:
    """Makes the reading of one source, step by step."""

    def __init__(self, source: Source) -> None:
        self.reading = Reading(source)

    def note(self, **found: Any) -> None:
        """Puts these fields of the reading in place of what they were."""
        self.reading = replace(self.reading, **found)

    def add(
        self, *, frames: int = 0, crops: int = 0, small: int = 0, decode: float = 0.0, detect: float = 0.0
    ) -> None:
        """Adds to the counts, and to the seconds of the reading thread."""
        stats, seconds = self.reading.stats, self.reading.stats.seconds
        stats = replace(
            stats,
            frames_sampled=stats.frames_sampled + frames,
            crops_scored=stats.crops_scored + crops,
            faces_unjudged=stats.faces_unjudged + small,
            seconds=replace(seconds, decode=seconds.decode + decode, detect=seconds.detect + detect),
        )
        self.note(stats=stats)


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Finds the faces in sources and cuts them out.

    ``geometries``: how to cut out every face. ``least_face``: longer side in pixels of the smallest face that
    is sent to be scored. ``observer`` is told of every frame. ``scratch`` has the copies of remote sources;
    None where there are none. ``provenance`` reads what files say of themselves; None leaves that out.
    ``landmarker`` must be given where a geometry asks for mouths.
    """

    detector: FaceDetector
    options: ScanOptions
    geometries: Sequence[Geometry]
    least_face: int = 0
    observer: Observer | None = None
    scratch: Scratch | None = None
    provenance: ProvenanceReader | None = None
    landmarker: Landmarker | None = None

    def read(self, sources: Iterable[Source], ledger: Ledger, stop: threading.Event) -> Iterator[FaceCrop]:
        """The crops of sources, in the order of sources and of time; a source that fails costs itself alone.

        ``ledger`` receives the reading of each source after its last crop. ``stop``, when set, ends the
        reading at the next frame; the source under way then gets no reading.
        """
        for source in sources:
            notes, local = _Notes(source), source
            try:
                with (
                    nullcontext(source) if self.scratch is None else self.scratch.local_copy(source) as local
                ):
                    for crops in self._crops_by_frame(local, notes):
                        if stop.is_set():
                            return
                        yield from crops
            except SOURCE_FAILURES as error:
                notes.note(error=describe_failure(local, error))
            ledger.append(notes.reading)

    def _crops_by_frame(self, local: Source, notes: _Notes) -> Iterator[list[FaceCrop]]:
        """The crops of one source, or of its copy on this machine, frame by frame."""
        before, still = stamp_of(local.path), local.kind is SourceKind.IMAGE
        watcher = Watcher(self.detector, self.options.detection, still=still)
        cut_mouth = None if self.landmarker is None else MouthCutter(self.landmarker).cut
        area: Area | None = None
        unjudged: list[FaceSeen] = []
        streams: dict[int, int] = {}
        for frame in self._timed_frames(local, notes):
            if self.observer is not None:  # by the source's own name: that of a copy means nothing
                duration_s = notes.reading.stats.duration_s
                self.observer.frame_sampled(notes.reading.source, frame.time_s, duration_s)
            started = time.perf_counter()
            faces = watcher.look(frame)
            streams.update((face.track, frame.stream) for face in faces)
            large = [face for face in faces if face.box.longer_side >= self.least_face]
            small = [face for face in faces if face.box.longer_side < self.least_face]
            unjudged += small
            area = picture_area(frame.image, area) if large else area
            cut = crop_faces(frame, large, self.geometries, still=still, area=area, cut_mouth=cut_mouth)
            crops = list(cut)
            seconds = time.perf_counter() - started
            notes.add(frames=1, crops=len(crops), small=len(small), detect=seconds)
            yield crops
        stats = replace(notes.reading.stats, cuts_s=tuple(watcher.cuts_s))
        notes.note(stats=stats, unjudged=tuple(unjudged), persons=watcher.persons(), streams=streams)
        if stamp_of(local.path) != before:  # half of what was judged may be gone or still to come
            raise SourceError(
                f"{local.path}: changed or vanished while it was read: wait until it is complete, then scan "
                "it again"
            )

    def _timed_frames(self, local: Source, notes: _Notes) -> Iterator[Frame]:
        """The sampled frames, while the time that they take is added up."""
        frames = self._frames(local, notes)
        while True:
            started = time.perf_counter()
            frame = next(frames, None)
            notes.add(decode=time.perf_counter() - started)
            if frame is None:
                return
            if frame.index == 0 and (facts := notes.reading.facts) is not None:
                height, width = frame.image.shape[:2]
                notes.note(facts=replace(facts, width=width, height=height))
            yield frame

    def _frames(self, local: Source, notes: _Notes) -> Iterator[Frame]:
        """The sampled frames, while what the file and its streams say of themselves is noted."""
        require_content(local.path)
        facts = file_facts(local.path)
        notes.note(facts=facts)
        if self.provenance is not None:
            notes.note(provenance=self.provenance.read(local.path))
        clip = _opened(local, self.options.sampling)
        stats = replace(notes.reading.stats, duration_s=clip.duration_s)
        notes.note(facts=replace(facts, codec=clip.codec), stats=stats)
        try:
            yield from clip.frames(local.id)
        finally:
            stats = replace(notes.reading.stats, duration_s=clip.duration_s)
            notes.note(stats=stats, remarks=tuple(clip.remarks))


def _opened(local: Source, options: SamplingOptions) -> Photograph | Animation | Clip:
    if local.kind is SourceKind.IMAGE:
        return Photograph(local.path)
    return (Animation if is_animation(local.path) else Clip)(local.path, options)


def describe_failure(source: Source, error: BaseException) -> ErrorInfo:
    """One line for a person; vidscan's own errors already are one."""
    cause = quoted(str(error)) or type(error).__name__
    message = f"{escaped(str(source.path))}: could not be analysed ({cause}): check the file"
    if isinstance(error, VidscanError):
        message = str(error)
    if source.remote is not None and source.path.is_absolute():  # a copy, which is gone by now
        message = message.replace(escaped(str(source.path)), escaped(source.name))
    return ErrorInfo(type(error).__name__, message)
