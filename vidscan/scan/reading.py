"""Sources -> FaceCrop, with a ledger of what was read of each source.

The crops of many sources flow in one stream, so that batches fill across files. What cannot travel
in a batch (a failure, a count of frames, a time taken) is written here by the reading side and read
by the collecting side, which may run in different threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import cv2

from vidscan.errors import SourceError, VidscanError, escaped, quoted
from vidscan.faces.cropping import crop_faces
from vidscan.media.ffmpeg import decode
from vidscan.media.frames import require_content, sample_frames, still_remark
from vidscan.media.scratch import Scratch
from vidscan.media.sources import stamp_of
from vidscan.options import ScanOptions
from vidscan.protocols import FaceDetector, Observer
from vidscan.records import (
    ErrorInfo,
    FaceCrop,
    FaceScore,
    Frame,
    Geometry,
    Sighting,
    Source,
    SourceFacts,
    SourceKind,
)
from vidscan.scan.watcher import Watcher
from vidscan.system.files import file_facts

SOURCE_FAILURES = (VidscanError, OSError, ValueError, MemoryError, cv2.error)
"""What one source may die of while the others go on. Anything else is a fault of vidscan's own and
ends the run."""


@dataclass(slots=True)
class SourceEntry:
    """One source's line in the ledger. Seconds are wall times of the reading side.

    ``crops`` counts those that were sent to be scored, each view of a still's face by itself; ``unjudged``
    are the other sightings.
    ``persons``: the person of each track. ``cuts_s``: when new shots begin. ``remark``: what must be said
    beside the verdict.
    """

    source: Source
    started: float = field(default_factory=time.perf_counter)
    duration_s: float | None = None
    facts: SourceFacts | None = None
    frames: int = 0
    crops: int = 0
    decode_seconds: float = 0.0
    detect_seconds: float = 0.0
    error: ErrorInfo | None = None
    unjudged: list[FaceScore] = field(default_factory=list)
    persons: dict[int, int] = field(default_factory=dict)
    cuts_s: tuple[float, ...] = ()
    remark: str = ""


class Ledger:
    """Entries of sources read to their end, oldest first.

    One thread appends and another pops; both are single operations of a deque, which are atomic.
    """

    def __init__(self) -> None:
        self._finished: deque[SourceEntry] = deque()

    def close(self, entry: SourceEntry) -> None:
        """Notes that nothing more will come from a source."""
        self._finished.append(entry)

    def oldest(self) -> SourceEntry | None:
        """The first finished source that was not taken yet."""
        return self._finished[0] if self._finished else None

    def take(self) -> SourceEntry:
        """Removes and returns the oldest entry."""
        return self._finished.popleft()


def read_crops(
    sources: Iterable[Source],
    *,
    options: ScanOptions,
    geometries: Sequence[Geometry],
    least_face: int,
    detector: FaceDetector,
    ledger: Ledger,
    observer: Observer | None,
    stop: threading.Event,
    scratch: Scratch | None = None,
) -> Iterator[FaceCrop]:
    """Reads source after source and yields the faces in them; failures go into the ledger.

    Args:
        sources: what to read, in order.
        options: how often to sample and which detections to take.
        geometries: how to cut out every face that was found.
        least_face: longer side in pixels of the smallest face that is sent to be scored.
        detector: finds the faces.
        ledger: receives one entry a source, after its last crop.
        observer: is told of every frame.
        stop: ends the reading at the next frame when set; the source under way then gets no entry.
        scratch: has the copies of remote sources; None where there are none.

    Yields:
        Crops in the order of sources and of time.
    """
    for source in sources:
        entry = SourceEntry(source)
        # By the name that the user gave it: that of a copy would mean nothing to anybody.
        sampled = None if observer is None else partial(observer.frame_sampled, source)
        try:
            with nullcontext(source) if scratch is None else scratch.local_copy(source) as entry.source:
                before = stamp_of(entry.source.path)
                for crops in _crops_by_frame(entry, options, geometries, least_face, detector, sampled):
                    if stop.is_set():
                        return
                    entry.crops += len(crops)
                    yield from crops
                if stamp_of(entry.source.path) != before:
                    raise _changed(entry.source)
        except SOURCE_FAILURES as error:
            entry.error = describe_failure(entry.source, error)
        entry.source = source
        ledger.close(entry)


def _changed(source: Source) -> SourceError:
    """Half of what was judged may be gone, or the other half still to come."""
    return SourceError(
        f"{source.path}: changed or vanished while it was read: wait until it is complete, then scan it again"
    )


def _crops_by_frame(
    entry: SourceEntry,
    options: ScanOptions,
    geometries: Sequence[Geometry],
    least_face: int,
    detector: FaceDetector,
    sampled: Callable[[float, float | None], None] | None,
) -> Iterator[list[FaceCrop]]:
    source = entry.source
    require_content(source.path)
    entry.facts = file_facts(source.path)
    if source.kind is SourceKind.VIDEO:
        media = decode.probe(source.path)
        entry.duration_s = media.duration_s
        entry.facts = replace(entry.facts, codec=media.codec)
    else:
        entry.remark = still_remark(source.path)
    still = source.kind is SourceKind.IMAGE
    watcher = Watcher(detector, options.detection, still=still)
    for frame in _timed_frames(entry, options):
        if sampled is not None:
            sampled(frame.time_s, entry.duration_s)
        started = time.perf_counter()
        seen = watcher.look(frame)
        large = [(face, track) for face, track in seen if face.box.longer_side >= least_face]
        small = [(face, track) for face, track in seen if face.box.longer_side < least_face]
        entry.unjudged += [_unjudged(source, face, track) for face, track in small]
        crops = list(crop_faces(frame, large, geometries, still=still))
        entry.detect_seconds += time.perf_counter() - started
        entry.frames += 1
        yield crops
    entry.persons, entry.cuts_s = watcher.persons(), tuple(watcher.cuts_s)


def _unjudged(source: Source, seen: Sighting, track: int) -> FaceScore:
    return FaceScore(
        source_id=source.id,
        frame_index=seen.frame_index,
        time_s=seen.time_s,
        box=seen.box,
        confidence=seen.confidence,
        fake_probability=None,
        track=track,
        quality=seen.quality,
    )


def _timed_frames(entry: SourceEntry, options: ScanOptions) -> Iterator[Frame]:
    frames = sample_frames(entry.source, options.sampling, entry.duration_s)
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        entry.decode_seconds += time.perf_counter() - started
        if frame is None:
            return
        if entry.frames == 0 and entry.facts is not None:
            height, width = frame.image.shape[:2]
            entry.facts = replace(entry.facts, width=width, height=height)
        yield frame


def describe_failure(source: Source, error: BaseException) -> ErrorInfo:
    """One line for a person; vidscan's own errors already are one."""
    cause = quoted(str(error)) or type(error).__name__
    message = f"{escaped(str(source.path))}: could not be analysed ({cause}): check the file"
    if isinstance(error, VidscanError):
        message = str(error)
    if source.remote is not None and source.path.is_absolute():  # a copy, which is gone by now
        message = message.replace(escaped(str(source.path)), escaped(source.name))
    return ErrorInfo(type(error).__name__, message)
