"""Faces to look at, as pictures that stand in the page itself, and few enough to keep it small."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from vidscan.records import EvidenceCrop, Heat, Image
from vidscan.report.document import Document
from vidscan.report.summary import suspicion
from vidscan.report.wording import REMARKABLY_POOR, clock, heat_origin, score

CROP_SIDE = 192
"""Pixels of a crop's side in the page: more than it is shown at, for sharp screens."""

PAGE_BUDGET = 1_400_000
"""Bytes of pictures in a page on one file, which leaves it below 2 MB."""

FOLDER_BUDGET = 24_000_000
"""Bytes of pictures in a page on many files, shared out evenly."""

_JPEG_QUALITY = 85
_HEAT_SIDE = 48
_HEAT_OPACITY = 0.75


@dataclass(frozen=True, slots=True)
class Picture:
    """One face as data URIs: the crop, and its heat map, which is laid over it, where there is one.

    ``poor``: whether its quality is.
    """

    name: str
    track: int
    time_s: float
    fake_probability: float
    crop: Markup
    heat: Markup | None
    poor: bool = False

    @property
    def when(self) -> str:
        """The moment, as a person reads it."""
        return clock(self.time_s)

    @property
    def score(self) -> str:
        """P(fake), as a person reads it."""
        return score(self.fake_probability)

    @property
    def size(self) -> int:
        """Bytes that it takes in the page."""
        return len(self.crop) + len(self.heat or "")


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """The faces kept of one track by falling score: the highest, and the lowest where there are enough."""

    track: int
    highest: tuple[Picture, ...]
    lowest: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """All pictures of one file.

    ``left_out`` counts the faces there was no room for; ``heat_origin`` tells how heat maps were made,
    "" where there are none or nobody noted it.
    """

    strips: tuple[Filmstrip, ...] = ()
    left_out: int = 0
    heat_origin: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture, strip by strip."""
        return tuple(picture for strip in self.strips for picture in (*strip.highest, *strip.lowest))

    @property
    def has_heat(self) -> bool:
        """Whether there is any heat map to see."""
        return any(picture.heat for picture in self.pictures)


def budget_of_each(files: int) -> int:
    """How many bytes of pictures each of so many files may put into one page."""
    return min(PAGE_BUDGET, FOLDER_BUDGET // max(1, files))


def gallery(
    crops: Sequence[EvidenceCrop],
    tracks: Sequence[Document],
    prefix: str,
    budget: int,
    poor: Collection[tuple[int, float]] = (),
) -> Gallery:
    """The faces kept of one file, the people that matter most first.

    Args:
        crops: what the scan kept, in any order.
        tracks: of the result, as the document has them; a face of no known track comes last.
        prefix: what the pictures' names begin with, unique within the page.
        budget: bytes that they may take. Each track's extremes come before what lies between.
        poor: track and time, as the document has it, of faces of poor quality.
    """
    ranked = sorted(tracks, key=lambda track: (not track["counted"], -suspicion(track["fake_probability"])))
    order = {track["id"]: place for place, track in enumerate(ranked)}
    by_track: dict[int, list[EvidenceCrop]] = {}
    for crop in sorted(crops, key=lambda each: (-each.fake_probability, each.time_s)):
        by_track.setdefault(crop.track, []).append(crop)
    chosen: dict[int, list[Picture]] = {}
    left_out = 0
    for number, crop in enumerate(
        _extremes_first(by_track, sorted(by_track, key=lambda i: order.get(i, 1e9)))
    ):
        if left_out == 0 and (picture := _picture(crop, f"{prefix}-{number}", poor)).size <= budget:
            budget -= picture.size
            chosen.setdefault(crop.track, []).append(picture)
        else:
            left_out += 1
    strips = tuple(_filmstrip(track, kept) for track, kept in chosen.items())
    # One scan has one explainer.
    origin = next((heat_origin(crop.heat_source) for crop in crops if crop.heat_source is not None), "")
    return Gallery(strips, left_out, origin)


def poor_faces(timeline: Sequence[Document]) -> set[tuple[int, float]]:
    """Track and time of every face of poor quality on the timeline of a result."""
    return {
        (face["track"], point["time_s"])
        for point in timeline
        for face in point["faces"]
        if face["quality"] < REMARKABLY_POOR
    }


def _extremes_first(by_track: dict[int, list[EvidenceCrop]], order: Sequence[int]) -> Iterator[EvidenceCrop]:
    """Highest and lowest of each track in turn, then the next ones, so that no track crowds out another."""
    waiting = {track: list(by_track[track]) for track in order}
    while any(waiting.values()):
        for end in (0, -1):
            for crops in waiting.values():
                if crops:
                    yield crops.pop(end)


def _filmstrip(track: int, pictures: Sequence[Picture]) -> Filmstrip:
    falling = tuple(sorted(pictures, key=lambda each: (-each.fake_probability, each.time_s)))
    half = len(falling) if len(falling) < 3 else (len(falling) + 1) // 2
    return Filmstrip(track, falling[:half], falling[half:])


def _picture(crop: EvidenceCrop, name: str, poor: Collection[tuple[int, float]]) -> Picture:
    return Picture(
        name,
        crop.track,
        crop.time_s,
        crop.fake_probability,
        _crop_uri(crop.image),
        None if crop.heat is None else _heat_uri(crop.heat),
        (crop.track, round(crop.time_s, 3)) in poor,
    )


def _crop_uri(image: Image) -> Markup:
    """RGB ``uint8[size, size, 3]`` as a JPEG of at most ``CROP_SIDE`` pixels."""
    import cv2

    if max(image.shape[:2]) > CROP_SIDE:
        image = np.asarray(cv2.resize(image, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return _data_uri("jpeg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))


def _heat_uri(heat: Heat) -> Markup:
    """``float32[cells, cells]``, 0-1, as a PNG that is the more opaque the hotter."""
    import cv2

    smooth = cv2.resize(heat.astype(np.float32), (_HEAT_SIDE, _HEAT_SIDE), interpolation=cv2.INTER_CUBIC)
    smooth = np.clip(smooth, 0.0, 1.0)
    opacity = np.rint(smooth * 255 * _HEAT_OPACITY).astype(np.uint8)
    return _data_uri("png", np.dstack([_coloured(smooth), opacity]))


def colour_scale() -> Markup:
    """The colours of a heat map from cold to hot, as a picture of one row."""
    return _data_uri("png", _coloured(np.linspace(0, 1, 128, dtype=np.float32)[None, :]))


def _coloured(values: Heat) -> Image:
    """BGR colours of values 0-1; inferno rises evenly in lightness, so that it reads without hue too."""
    import cv2

    coloured = cv2.applyColorMap(np.rint(values * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(coloured, np.uint8)


def _data_uri(kind: str, pixels: Image, options: Sequence[int] = ()) -> Markup:
    import cv2

    done, encoded = cv2.imencode(f".{kind}", pixels, list(options))
    if not done:
        raise ValueError(f"OpenCV cannot write a {kind.upper()} picture: reinstall opencv-contrib-python")
    return Markup(f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}")
