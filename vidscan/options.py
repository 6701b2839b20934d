"""One frozen dataclass per stage; :class:`ScanOptions` holds them all and is echoed in every report.

Values are checked when they are made, so that a wrong one is found before any work begins.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vidscan.errors import UsageError

HWACCELS = ("none", "auto")
"""Whether clips are decoded in hardware."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Which frames of a clip are looked at.

    ``fps``: frames per second of video (a clip with fewer gives all that it has). ``frames``: instead,
    this many spread evenly over the clip. ``keyframes``: only keyframes, of which ``fps`` is then the
    most per second. ``hwaccel``: ``"auto"`` decodes in hardware where there is any, ``"none"`` never.
    """

    fps: float = 2.0
    frames: int | None = None
    keyframes: bool = False
    hwaccel: str = "none"

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.fps) and self.fps > 0,
            f"--fps {self.fps:g} cannot work: give a number of frames per second above 0, such as --fps 2",
        )
        _require(
            self.frames is None or self.frames >= 1,
            f"--frames {self.frames} cannot work: give 1 or more, such as --frames 32",
        )
        _require(
            self.frames is None or not self.keyframes,
            "--frames and --keyframes exclude each other: give one of them",
        )
        _require(
            self.hwaccel in HWACCELS,
            f"--hwaccel {self.hwaccel} cannot work: give one of {', '.join(HWACCELS)}",
        )


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """``min_confidence``: detections the detector is less sure of (0-1) are dropped.

    ``min_face``: detections whose longer side has fewer pixels are dropped. ``faces``: how many faces of a
    frame are taken, the largest first; None takes all. ``region``: x, y, width and height in pixels of the
    upright frame; faces whose centre lies elsewhere are not looked for.
    """

    min_confidence: float = 0.5
    min_face: int = 32
    faces: int | None = None
    region: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        _require(
            0 < self.min_confidence <= 1,
            f"--min-confidence {self.min_confidence:g} cannot work: give a number above 0, up to 1",
        )
        _require(self.min_face >= 1, f"--min-face {self.min_face} cannot work: give 1 pixel or more")
        _require(
            self.faces is None or self.faces >= 1,
            f"--faces {self.faces} cannot work: give all, largest, or a number of 1 or more",
        )
        _require(
            self.region is None or (min(self.region[:2]) >= 0 and min(self.region[2:]) >= 1),
            f"--region {','.join(map(str, self.region or ()))} cannot work: give x,y,width,height in pixels, "
            "with x and y of 0 or more and a size of 1 or more",
        )


@dataclass(frozen=True, slots=True)
class BatchingOptions:
    """``batch_size``: crops scored at once; ``prefetch``: batches made ready ahead of the network."""

    batch_size: int = 32
    prefetch: int = 2

    def __post_init__(self) -> None:
        _require(self.batch_size >= 1, f"--batch-size {self.batch_size} cannot work: give 1 or more")
        _require(self.prefetch >= 1, f"prefetch {self.prefetch} cannot work: give 1 or more")


RUNTIMES = ("auto", "keras", "onnx", "coreml")
"""What may compute a network's outputs; ``auto`` takes the fastest that can be trusted on this machine."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """``paths``: the checkpoint, or those of an ensemble, each a path or the name of one that ships.

    None at all takes those that ship with vidscan together. ``runtime`` is one of :data:`RUNTIMES`;
    ``runtimes_used`` names each member's, once it is loaded.
    """

    paths: tuple[Path, ...] = ()
    runtime: str = "auto"
    runtimes_used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(
            self.runtime in RUNTIMES,
            f"--runtime {self.runtime} is unknown: choose one of {', '.join(RUNTIMES)}",
        )


@dataclass(frozen=True, slots=True)
class VerdictOptions:
    """How scores become a verdict.

    ``fake_threshold`` and ``real_threshold`` override the card's when given (calibrated P(fake)).
    A track counts towards the verdict when it has at least ``min_track_share`` of the sightings of
    the longest track. ``segment_gap_s`` joins suspicious sightings this far apart or closer.
    """

    fake_threshold: float | None = None
    real_threshold: float | None = None
    min_track_share: float = 0.2
    segment_gap_s: float = 1.5

    def __post_init__(self) -> None:
        for name in ("fake_threshold", "real_threshold"):
            value = getattr(self, name)
            _require(
                value is None or 0 <= value <= 1,
                f"--{name.replace('_', '-')} {value} cannot work: give a probability from 0 to 1",
            )
        if self.fake_threshold is not None and self.real_threshold is not None:
            _require(
                self.real_threshold <= self.fake_threshold,
                f"--real-threshold {self.real_threshold:g} lies above --fake-threshold "
                f"{self.fake_threshold:g}: swap them or give only one",
            )


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """Faces kept to be looked at.

    ``kept``: whether any are. Of each of the ``tracks`` that matter most, the ``highest`` and ``lowest``
    scoring crops, no two of a kind from the same second. ``explained``: the highest get heat maps.
    """

    kept: bool = False
    explained: bool = False
    highest: int = 4
    lowest: int = 2
    tracks: int = 8

    def __post_init__(self) -> None:
        for name, least in (("highest", 1), ("lowest", 0), ("tracks", 1)):
            value = getattr(self, name)
            _require(value >= least, f"{name} {value} cannot work: give {least} or more")
        _require(self.kept or not self.explained, "heat maps need crops: keep them too")

    def shared_by(self, sources: int) -> EvidenceOptions:
        """The same with so few crops a source that those of all sources fit into memory together."""
        room = MOST_CROPS // max(sources, 1)
        tracks = min(self.tracks, max(1, room // (self.highest + self.lowest)))
        highest = min(self.highest, max(1, room // tracks))
        lowest = min(self.lowest, max(0, room // tracks - highest))
        return replace(self, tracks=tracks, highest=highest, lowest=lowest)


MOST_CROPS = 2000
"""Crops that one scan may keep: 0.4 GB of the bundled network's, 0.9 GB of the reference network's."""


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """Where copies of remote sources lie while they are read, and how much room they may take together.

    ``scratch``: a folder; None is the system's for temporary files. ``scratch_gb``: 10^9 bytes. Nothing that
    is found depends on it, so reports have no word of it.
    """

    scratch: Path | None = None
    scratch_gb: float = 8.0

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.scratch_gb) and self.scratch_gb > 0,
            f"--scratch-gb {self.scratch_gb:g} cannot work: give a number above 0, such as 8",
        )


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where a scan on a Ray cluster runs, and in how many parts; no part of what it finds.

    ``address``: None takes the cluster that Ray finds by itself, else one of this machine alone; ``"auto"``
    only the former. ``workers``: None takes as many as there is room for. ``cpus`` and ``gpus`` are what
    each worker is given; a fraction of a GPU is shared with others. ``gpus`` None: one where there are any.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 2
    gpus: float | None = None

    def __post_init__(self) -> None:
        _require(
            self.workers is None or self.workers >= 1,
            f"--ray-workers {self.workers} cannot work: give 1 or more",
        )
        _require(self.cpus >= 1, f"--ray-cpus {self.cpus} cannot work: give 1 or more")
        _require(
            self.gpus is None or 0 <= self.gpus <= 1 or self.gpus == int(self.gpus),
            f"--ray-gpus {self.gpus} cannot work: give a part of one, such as 0.5, or a whole number",
        )


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """All that a scan can be asked."""

    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    detection: DetectionOptions = field(default_factory=DetectionOptions)
    batching: BatchingOptions = field(default_factory=BatchingOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    verdict: VerdictOptions = field(default_factory=VerdictOptions)
    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    storage: StorageOptions = field(default_factory=StorageOptions)

    def echo(self) -> dict[str, Any]:
        """The options as plain JSON values, for the report; ``paths`` is there for an ensemble alone."""
        echoed, paths = asdict(self), [str(path) for path in self.model.paths]
        echoed["model"] = {"paths": paths} if len(paths) > 1 else {"path": paths[0] if paths else None}
        echoed["model"] |= {"runtime": self.model.runtime, "runtimes_used": list(self.model.runtimes_used)}
        del echoed["storage"]
        if self.sampling.frames is not None:
            echoed["sampling"]["fps"] = None  # it was not looked at
        return echoed
