"""What a scan can be asked: one frozen dataclass per stage, all of them in :class:`ScanOptions`.

A field says once what its default is and which flag and keyword set it; the command line's parser and the
keywords of the Python API are made of that. Values are checked before any work begins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from vidscan.errors import UsageError, quoted
from vidscan.flags import flag, keywords_of, require, require_amount, require_choice, require_count

RUNTIMES = ("auto", "keras", "onnx")
"""What may compute a network's outputs; ``auto`` takes the fastest that can be trusted on this machine."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Which frames of a clip are looked at."""

    fps: float = flag(2.0, "frames to look at per second of video", "N", rivals="how often")
    frames: int | None = flag(
        None,
        "look at N frames spread evenly over the clip, reached by seeking, however long it is",
        "N",
        rivals="how often",
    )
    stream: int | None = flag(
        None, "look at this video stream alone, by its number in the file (default: every one)", "N"
    )
    keyframes: bool = flag(False, "decode only keyframes, and look at --fps of them at most")

    def __post_init__(self) -> None:
        require_amount("--fps", self.fps, "give a number of frames per second above 0, such as --fps 2")
        require_count("--frames", self.frames, "give 1 or more, such as --frames 32")
        require(
            self.stream is None or self.stream >= 0,
            f"--stream {self.stream}",
            "give 0 or more, such as --stream 1",
        )
        if self.frames is not None and self.keyframes:
            raise UsageError("--frames and --keyframes exclude each other: give one of them")


_FACES_REMEDY = "give all, largest, or a number of 1 or more"


def _faces(text: str) -> int | None:
    named = {"all": None, "largest": 1}
    try:
        return named[text] if text in named else int(text)
    except ValueError:
        raise UsageError(f"--faces {quoted(text)} cannot work: {_FACES_REMEDY}") from None


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = map(int, text.split(","))
    except ValueError:
        remedy = "give x,y,width,height in whole pixels, such as 0,0,640,360"
        raise UsageError(f"--region {quoted(text)} cannot work: {remedy}") from None
    return x, y, width, height


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Which faces of a frame are taken.

    ``min_face`` is the longer side, in pixels. ``faces`` None takes all. ``region``: x, y, width and height
    in pixels of the upright frame; faces whose centre lies elsewhere are not looked for.
    """

    min_confidence: float = flag(0.5, "drop detections that the detector is less sure of", "P")
    min_face: int = flag(32, "smallest face looked for, in pixels", "PX")
    faces: int | None = flag(
        None,
        "how many faces of a frame are taken, the largest first (default all)",
        "all|largest|N",
        read=_faces,
    )
    region: tuple[int, int, int, int] | None = flag(
        None, "look for faces only in this rectangle, in pixels of the upright frame", "X,Y,W,H", read=_region
    )

    def __post_init__(self) -> None:
        sure = self.min_confidence
        require(0 < sure <= 1, f"--min-confidence {sure:g}", "give a number above 0, up to 1")
        require_count("--min-face", self.min_face, "give 1 pixel or more")
        require_count("--faces", self.faces, _FACES_REMEDY)
        x, y, width, height = self.region or (0, 0, 1, 1)
        possible = min(x, y) >= 0 and min(width, height) >= 1
        require(
            possible, f"--region {x},{y},{width},{height}", "give x and y from 0 on, and a size from 1 on"
        )


@dataclass(frozen=True, slots=True)
class BatchingOptions:
    """How crops are scored; ``prefetch``: batches made ready ahead of the network."""

    batch_size: int = flag(32, "faces scored at once", "N")
    prefetch: int = 2

    def __post_init__(self) -> None:
        require_count("--batch-size", self.batch_size)
        require_count("prefetch", self.prefetch)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What scores; ``runtimes_used`` names what computes each of ``paths``, once they are loaded."""

    paths: tuple[Path, ...] = flag(
        (),
        "vidscan-lite2 or vidscan-vit, or a checkpoint's path (default: both that ship); given several "
        "times, an ensemble of them",
        "NAME|PATH",
        name="model",
        keyword="",
    )
    runtime: str = flag(
        "auto",
        "what computes .keras files: auto is Keras on a GPU, else onnxruntime; .onnx files always take "
        "onnxruntime",
        choices=RUNTIMES,
    )
    runtimes_used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_choice("--runtime", self.runtime, RUNTIMES)


@dataclass(frozen=True, slots=True)
class VerdictOptions:
    """How scores become a verdict; thresholds are calibrated P(fake), 0-1.

    A track counts towards the verdict when it has at least ``min_track_share`` of the sightings of the
    longest track. ``segment_gap_s`` joins suspicious sightings this far apart or closer.
    """

    fake_threshold: float | None = flag(None, "FAKE from here (default: the card's)", "P")
    real_threshold: float | None = flag(None, "REAL up to here (default: the card's)", "P")
    min_track_share: float = 0.2
    segment_gap_s: float = 1.5

    def __post_init__(self) -> None:
        fake, real = self.fake_threshold, self.real_threshold
        for name, value in (("fake", fake), ("real", real)):
            possible = value is None or 0 <= value <= 1
            require(possible, f"--{name}-threshold {value}", "give a probability from 0 to 1")
        if fake is not None and real is not None and real > fake:
            raise UsageError(
                f"--real-threshold {real:g} lies above --fake-threshold {fake:g}: swap them or give only one"
            )


MAX_CROPS = 2000
"""Limit on the crops that a scan keeps: 0.4 GB of the bundled network's, 0.9 GB of the reference's."""


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """Faces kept to be looked at.

    ``kept``: whether any are. Of each of the ``tracks`` that matter most, the ``highest`` and ``lowest``
    scoring crops, no two of a kind from the same second. ``explained``: the highest get heat maps.
    """

    kept: bool = field(default=False, metadata={"keyword": "evidence"})
    explained: bool = flag(
        False, "heat maps of the most suspicious faces, in an HTML report", name="explain", keyword="explain"
    )
    highest: int = 4
    lowest: int = 2
    tracks: int = 8

    def __post_init__(self) -> None:
        for name, minimum in (("highest", 1), ("lowest", 0), ("tracks", 1)):
            value = getattr(self, name)
            require(value >= minimum, f"{name} {value}", f"give {minimum} or more")
        if self.explained and not self.kept:
            raise UsageError("heat maps need crops: keep them too")

    def shared_by(self, sources: int) -> EvidenceOptions:
        """The same with so few crops a source that those of all sources fit into memory together."""
        room = MAX_CROPS // max(sources, 1)
        tracks = min(self.tracks, max(1, room // (self.highest + self.lowest)))
        highest = min(self.highest, max(1, room // tracks))
        lowest = min(self.lowest, max(0, room // tracks - highest))
        return replace(self, tracks=tracks, highest=highest, lowest=lowest)


@dataclass(frozen=True, slots=True)
class ProvenanceOptions:
    """Whom the user trusts to sign Content Credentials; no score depends on it."""

    trust: Path | None = flag(None, "PEM files of those whose Content Credentials you trust", "FOLDER")


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """Where copies of remote sources lie while they are read, and how much room they may take together.

    ``scratch``: a folder; None is the system's for temporary files. ``scratch_gb``: 10^9 bytes. No result
    depends on it, so reports leave it out.
    """

    scratch: Path | None = flag(None, "where copies of remote clips lie while they are read", "DIR")
    scratch_gb: float = flag(8.0, "room for them, in GB", "N")

    def __post_init__(self) -> None:
        require_amount("--scratch-gb", self.scratch_gb, "give a number above 0, such as 8")


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where a scan on a Ray cluster runs, and in how many parts; no result depends on it.

    ``address``: None takes the cluster that Ray finds by itself, else one of this machine alone; ``"auto"``
    only the former. A worker shares its GPU with others where ``gpus`` is a fraction.
    """

    address: str | None = flag(
        None,
        "auto, HOST:PORT or ray://HOST:PORT (default: the cluster at hand, else one of this machine)",
        "A",
        name="ray-address",
    )
    workers: int | None = flag(
        None, "workers (default: as many as there is room for)", "N", name="ray-workers"
    )
    cpus: int = flag(2, "CPUs that each worker takes", "N", name="ray-cpus")
    gpus: float | None = flag(
        None,
        "GPUs that each takes, or a part of one, such as 0.5 (default: one where there are any)",
        "N",
        name="ray-gpus",
    )

    def __post_init__(self) -> None:
        require_count("--ray-workers", self.workers)
        require_count("--ray-cpus", self.cpus)
        possible = self.gpus is None or 0 <= self.gpus <= 1 or self.gpus == int(self.gpus)
        require(possible, f"--ray-gpus {self.gpus}", "give a part of one, such as 0.5, or a whole number")


class ScanKeywords(TypedDict, total=False):
    """The options of a scan as keywords, for :meth:`ScanOptions.of` and :func:`vidscan.scan`."""

    fps: float
    frames: int | None
    stream: int | None
    keyframes: bool
    min_confidence: float
    min_face: int
    faces: int | None
    region: tuple[int, int, int, int] | None
    batch_size: int
    runtime: str
    fake_threshold: float | None
    real_threshold: float | None
    evidence: bool
    explain: bool
    trust: Path | None
    scratch: Path | None
    scratch_gb: float


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """All that a scan can be asked."""

    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    detection: DetectionOptions = field(default_factory=DetectionOptions)
    batching: BatchingOptions = field(default_factory=BatchingOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    verdict: VerdictOptions = field(default_factory=VerdictOptions)
    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    provenance: ProvenanceOptions = field(default_factory=ProvenanceOptions)
    storage: StorageOptions = field(default_factory=StorageOptions)

    @classmethod
    def of(cls, base: ScanOptions | None = None, **keywords: Unpack[ScanKeywords]) -> ScanOptions:
        """The options of ``base``, or the defaults, with those changed that keywords name.

        ``explain`` keeps the crops that it draws heat maps of, so it implies ``evidence``. Raises UsageError
        where a value cannot work and TypeError where a keyword is unknown.
        """
        base, given = base or cls(), dict(keywords)
        if given.get("explain"):
            given["evidence"] = True
        changed: dict[str, Any] = {}
        for stage in fields(cls):
            before = getattr(base, stage.name)
            names = keywords_of(type(before))
            values = {names[keyword]: given.pop(keyword) for keyword in names if keyword in given}
            changed[stage.name] = replace(before, **values)
        if given:
            raise TypeError(f"a scan has no option {', '.join(given)}")
        return replace(base, **changed)

    def to_report(self) -> dict[str, Any]:
        """The options as plain JSON values; ``paths`` is there for an ensemble alone."""
        told, paths = asdict(self), [str(path) for path in self.model.paths]
        told["model"] = {"paths": paths} if len(paths) > 1 else {"path": paths[0] if paths else None}
        told["model"] |= {"runtime": self.model.runtime, "runtimes_used": list(self.model.runtimes_used)}
        del told["storage"]
        if self.sampling.frames is not None:
            told["sampling"]["fps"] = None  # the scan did not use it
        return told
