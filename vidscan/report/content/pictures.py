"""Embeds face crops and heat maps in the page, few enough to keep it small."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from vidscan.records import EvidenceCrop, Heat, Image
from vidscan.report.document import Document
from vidscan.report.summary import suspicion
from vidscan.report.wording import REMARKABLY_POOR, heat_origin

CROP_SIDE = 192
"""Side in pixels of a crop in the page: larger than it is shown, for sharp screens."""

PAGE_BUDGET = 1_400_000
"""Upper limit on the bytes of pictures in a page on one file, which keeps it below 2 MB."""

FOLDER_BUDGET = 24_000_000
"""Upper limit on the bytes of pictures in a page on many files, shared out evenly."""

_JPEG_QUALITY = 85
_HEAT_SIDE = 48
_HEAT_OPACITY = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class EncodedCrop(EvidenceCrop):
    """A crop with the JPEG that it was decoded from, as :func:`jpeg_of` makes it."""

    jpeg: bytes = b""


@dataclass(frozen=True, slots=True)
class Picture:
    """One face: its crop as a JPEG, and as a PNG the heat map that is laid over it, if any.

    ``poor``: whether its quality is. ``cold``: whether the map has no heat anywhere.
    """

    name: str
    track: int
    time_s: float
    fake_probability: float
    jpeg: bytes
    heat_png: bytes | None
    poor: bool = False
    cold: bool = False

    @property
    def crop(self) -> Markup:
        """The crop as a data URI."""
        return data_uri("jpeg", self.jpeg)

    @property
    def heat(self) -> Markup | None:
        """The heat map as a data URI."""
        return None if self.heat_png is None else data_uri("png", self.heat_png)

    @property
    def size(self) -> int:
        """Bytes that it takes in the page."""
        return len(self.crop) + len(self.heat or "")


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """The faces kept of one track by falling score: the highest, and the lowest if there are enough."""

    track: int
    highest: tuple[Picture, ...]
    lowest: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class FacePictures:
    """All pictures of one file, by track.

    ``left_out`` counts the faces there was no room for; ``heat_origin`` says how heat maps were made, "" if
    there are none or it is unknown.
    """

    strips: tuple[Filmstrip, ...] = ()
    left_out: int = 0
    heat_origin: str = ""

    @property
    def all(self) -> tuple[Picture, ...]:
        """Every picture, strip by strip."""
        return tuple(picture for strip in self.strips for picture in (*strip.highest, *strip.lowest))

    @property
    def has_heat(self) -> bool:
        """Whether there is any heat map."""
        return any(picture.heat for picture in self.all)


def budget_of_each(files: int) -> int:
    """Returns how many bytes of pictures each of so many files may put into one page."""
    return min(PAGE_BUDGET, FOLDER_BUDGET // max(1, files))


def face_pictures(
    crops: Sequence[EvidenceCrop],
    tracks: Sequence[Document],
    prefix: str,
    budget: int,
    poor: Collection[tuple[int, float]] = (),
) -> FacePictures:
    """Embeds the faces kept of one file, within a budget of bytes; each track's extremes come first.

    The most important of the result's ``tracks`` get room first, unknown tracks last. ``prefix`` begins the
    pictures' names and is unique within the page. ``poor``: track and time of faces of poor quality.
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
    strips = tuple(_filmstrip(track, chosen[track]) for track in sorted(chosen))
    # One scan has one explainer.
    origin = next((heat_origin(crop.heat_source) for crop in crops if crop.heat_source is not None), "")
    return FacePictures(strips, left_out, origin)


def poor_faces(timeline: Sequence[Document]) -> set[tuple[int, float]]:
    """Returns track and time of every face of poor quality on the timeline of a result."""
    return {
        (face["track"], point["time_s"])
        for point in timeline
        for face in point["faces"]
        if face["quality"] < REMARKABLY_POOR
    }


def _extremes_first(by_track: dict[int, list[EvidenceCrop]], order: Sequence[int]) -> Iterator[EvidenceCrop]:
    """Yields the highest and the lowest of each track in turn, then the next ones, and so on."""
    waiting = [list(by_track[track]) for track in order]
    while any(waiting):
        for end in (0, -1):
            for crops in waiting:
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
        crop.jpeg if isinstance(crop, EncodedCrop) else jpeg_of(crop.image),
        None if crop.heat is None else heat_png_of(crop.heat),
        (crop.track, round(crop.time_s, 3)) in poor,
        crop.heat is not None and not crop.heat.any(),
    )


def jpeg_of(image: Image) -> bytes:
    """Encodes RGB ``uint8[size, size, 3]`` as a JPEG of at most ``CROP_SIDE`` pixels."""
    import cv2

    if max(image.shape[:2]) > CROP_SIDE:
        image = np.asarray(cv2.resize(image, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return _encoded("jpeg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))


def heat_png_of(heat: Heat) -> bytes:
    """Encodes ``float32[cells, cells]``, 0-1, as a PNG that is more opaque where it is hotter."""
    import cv2

    smooth = cv2.resize(heat.astype(np.float32), (_HEAT_SIDE, _HEAT_SIDE), interpolation=cv2.INTER_CUBIC)
    smooth = np.clip(smooth, 0.0, 1.0)
    opacity = np.rint(smooth * 255 * _HEAT_OPACITY).astype(np.uint8)
    return _encoded("png", np.dstack([heat_colours(smooth), opacity]))


def colour_scale() -> bytes:
    """Encodes the colours of a heat map from cold to hot as a PNG of one row."""
    return _encoded("png", heat_colours(np.linspace(0, 1, 128, dtype=np.float32)[None, :]))


def heat_colours(values: Heat) -> Image:
    """Returns the BGR colours of values 0-1: inferno, whose lightness rises evenly, reads without hue."""
    import cv2

    coloured = cv2.applyColorMap(np.rint(values * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(coloured, np.uint8)


def _encoded(kind: str, pixels: Image, options: Sequence[int] = ()) -> bytes:
    import cv2

    done, encoded = cv2.imencode(f".{kind}", pixels, list(options))
    if not done:
        raise ValueError(f"OpenCV cannot write a {kind.upper()} picture: reinstall opencv-contrib-python")
    return encoded.tobytes()


def data_uri(kind: str, content: bytes) -> Markup:
    """A picture of this kind as it stands in a page."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}")
