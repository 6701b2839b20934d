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

import cv2

from vidscan.errors import SourceError, VidscanError, escaped, quoted
from vidscan.faces.crops import crop_faces
from vidscan.media.ffmpeg import decode
from vidscan.media.frames import require_content, sample_frames, still_remark
from vidscan.media.scratch import Scratch
from vidscan.media.sources import stamp_of
from vidscan.options import ScanOptions
from vidscan.protocols import FaceDetector, Observer
from vidscan.records import (
    ErrorInfo,
    FaceCrop,
    FaceSeen,
    Frame,
    Geometry,
    Source,
    SourceFacts,
    SourceKind,
    StageSeconds,
    Stats,
)
from vidscan.scan.watcher import Watcher
from vidscan.system.files import file_facts

SOURCE_FAILURES = (VidscanError, OSError, ValueError, MemoryError, cv2.error)
"""Exceptions that fail one source. Any other is a fault in vidscan itself and ends the run."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one source.

    ``started`` is a time of ``time.perf_counter``. ``stats`` lacks what scoring adds; its ``crops_scored``
    are the crops that were sent to be scored, each view of a still's face by itself. ``unjudged`` are the
    faces too small for that, ``persons`` the person of each track. ``remark`` is to be said beside the
    verdict. ``error`` is None for a source that was read to its end.
    """

    source: Source
    started: float
    stats: Stats
    facts: SourceFacts | None = None
    unjudged: tuple[FaceSeen, ...] = ()
    persons: Mapping[int, int] = field(default_factory=dict)
    remark: str = ""
    error: ErrorInfo | None = None


class Ledger:
    """Readings of sources that will give no further crop, oldest first.

    One thread appends and another pops; both are single operations of a deque, which are atomic.
    """

    def __init__(self) -> None:
        self._finished: deque[Reading] = deque()

    def close(self, reading: Reading) -> None:
        """Notes that nothing more will come from a source."""
        self._finished.append(reading)

    def oldest(self) -> Reading | None:
        """The first finished source that was not taken yet."""
        return self._finished[0] if self._finished else None

    def take(self) -> Reading:
        """Removes and returns the oldest reading."""
        return self._finished.popleft()


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Finds the faces in sources and cuts them out.

    ``geometries``: how to cut out every face. ``least_face``: longer side in pixels of the smallest face that
    is sent to be scored. ``observer`` is told of every frame. ``scratch`` has the copies of remote sources;
    None where there are none.
    """

    detector: FaceDetector
    options: ScanOptions
    geometries: Sequence[Geometry]
    least_face: int = 0
    observer: Observer | None = None
    scratch: Scratch | None = None

    def read(self, sources: Iterable[Source], ledger: Ledger, stop: threading.Event) -> Iterator[FaceCrop]:
        """The crops of sources, in the order of sources and of time; a source that fails costs itself alone.

        Args:
            sources: what to read, in order.
            ledger: receives the reading of each source after its last crop.
            stop: ends the reading at the next frame when set; the source under way then gets no reading.
        """
        for source in sources:
            progress = _Progress(source)
            try:
                for crops in self._crops_by_frame(progress):
                    if stop.is_set():
                        return
                    progress.crops += len(crops)
                    yield from crops
            except SOURCE_FAILURES as error:
                progress.error = describe_failure(progress.local, error)
            ledger.close(progress.reading(source))

    def _crops_by_frame(self, progress: _Progress) -> Iterator[list[FaceCrop]]:
        """The crops of one source, frame by frame."""
        source = progress.local
        with nullcontext(source) if self.scratch is None else self.scratch.local_copy(source) as local:
            progress.local = local
            before = stamp_of(local.path)
            progress.begin()
            still = local.kind is SourceKind.IMAGE
            watcher = Watcher(self.detector, self.options.detection, still=still)
            for frame in progress.timed_frames(self.options):
                if self.observer is not None:  # by the source's own name: that of a copy means nothing
                    self.observer.frame_sampled(source, frame.time_s, progress.duration_s)
                started = time.perf_counter()
                faces = watcher.look(frame)
                large = [face for face in faces if face.box.longer_side >= self.least_face]
                progress.unjudged += [face for face in faces if face.box.longer_side < self.least_face]
                crops = list(crop_faces(frame, large, self.geometries, still=still))
                progress.detect_seconds += time.perf_counter() - started
                progress.frames += 1
                yield crops
            progress.persons, progress.cuts_s = watcher.persons(), tuple(watcher.cuts_s)
            if stamp_of(local.path) != before:  # half of what was judged may be gone or still to come
                raise SourceError(
                    f"{local.path}: changed or vanished while it was read: wait until it is complete, "
                    "then scan it again"
                )


@dataclass(slots=True)
class _Progress:
    """What is known so far of the source under way; ``local`` has the path of its copy once there is one.

    Seconds are wall times of the reading thread.
    """

    local: Source
    started: float = field(default_factory=time.perf_counter)
    duration_s: float | None = None
    facts: SourceFacts | None = None
    frames: int = 0
    crops: int = 0
    decode_seconds: float = 0.0
    detect_seconds: float = 0.0
    unjudged: list[FaceSeen] = field(default_factory=list)
    persons: Mapping[int, int] = field(default_factory=dict)
    cuts_s: tuple[float, ...] = ()
    remark: str = ""
    error: ErrorInfo | None = None

    def begin(self) -> None:
        """Looks at the file as a whole."""
        path = self.local.path
        require_content(path)
        self.facts = file_facts(path)
        if self.local.kind is SourceKind.VIDEO:
            media = decode.probe(path)
            self.duration_s = media.duration_s
            self.facts = replace(self.facts, codec=media.codec)
        else:
            self.remark = still_remark(path)

    def timed_frames(self, options: ScanOptions) -> Iterator[Frame]:
        """The sampled frames, while the time that they take is added up."""
        frames = sample_frames(self.local, options.sampling, self.duration_s)
        while True:
            started = time.perf_counter()
            frame = next(frames, None)
            self.decode_seconds += time.perf_counter() - started
            if frame is None:
                return
            if self.frames == 0 and self.facts is not None:
                height, width = frame.image.shape[:2]
                self.facts = replace(self.facts, width=width, height=height)
            yield frame

    def reading(self, source: Source) -> Reading:
        """All of it, at the end of ``source``."""
        stats = Stats(
            duration_s=self.duration_s,
            frames_sampled=self.frames,
            crops_scored=self.crops,
            faces_unjudged=len(self.unjudged),
            cuts_s=self.cuts_s,
            seconds=StageSeconds(decode=self.decode_seconds, detect=self.detect_seconds),
        )
        unjudged = tuple(self.unjudged)
        return Reading(
            source, self.started, stats, self.facts, unjudged, self.persons, self.remark, self.error
        )


def describe_failure(source: Source, error: BaseException) -> ErrorInfo:
    """One line for a person; vidscan's own errors already are one."""
    cause = quoted(str(error)) or type(error).__name__
    message = f"{escaped(str(source.path))}: could not be analysed ({cause}): check the file"
    if isinstance(error, VidscanError):
        message = str(error)
    if source.remote is not None and source.path.is_absolute():  # a copy, which is gone by now
        message = message.replace(escaped(str(source.path)), escaped(source.name))
    return ErrorInfo(type(error).__name__, message)
