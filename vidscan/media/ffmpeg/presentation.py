"""How the frames of a video stream are shown as a person sees them: which filters make them so.

Upright and cropped to the file's rectangle they come from ffmpeg itself (the rectangle from 7.1 on).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from vidscan.media.ffmpeg.header import Colour, VideoStream
from vidscan.media.ffmpeg.output import MAX_PIXELS
from vidscan.media.ffmpeg.program import filters
from vidscan.records import Remark

MAX_STRETCH = 4
"""Pixels more oblong than this are no fact but a fault or a trap: the widest lenses squeeze by 2."""

WHITE_NITS = 203
"""The luminance of diffuse white in HDR pictures, cd/m²: Recommendation ITU-R BT.2408, table 1."""

KEPT = 0.95
"""Share of that white up to which colours stay as they are; what is brighter is compressed, so that all of
SDR comes back as it was but for its brightest. From 0.8 on, bright faces lose contrast that networks miss."""

_HDR_NAMES = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_TONE_MAPPERS = ("zscale", "tonemap")


class Filter(NamedTuple):
    """A filter of ffmpeg's with its options."""

    name: str
    options: Mapping[str, str | int | float]

    @property
    def text(self) -> str:
        """The filter as ``-vf`` takes it."""
        said = ":".join(f"{name}={value}" for name, value in self.options.items()).replace(",", r"\,")
        return f"{self.name}={said}" if said else self.name


@dataclass(frozen=True, slots=True)
class Presentation:
    """What is done to one video stream's frames.

    ``stream`` is its number in the file; None is the first that is no cover. ``one_field``: of every frame
    one field alone is shown. ``colour``: the HDR that is tone-mapped. ``stretch``: pixels are made square.
    """

    stream: int | None = None
    one_field: bool = False
    colour: Colour | None = None
    stretch: bool = False

    @property
    def selector(self) -> str:
        """The stream as ffmpeg names it within its file; V:0 is the first that is no cover."""
        return "V:0" if self.stream is None else str(self.stream)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What is done to each frame that is looked at, whatever comes before or after it."""
        return (
            *(_ONE_FIELD if self.one_field else ()),
            *(_tone_mapping(self.colour) if self.colour else ()),
            *(_SQUARE if self.stretch else ()),
        )


# All lines are filtered alike. Where a deinterlacer keeps the lines of one field and makes up those between,
# each line differs from the next, and genuine faces look synthesised to a network: see benchmarks/README.md.
_ONE_FIELD = (
    Filter("field", {"type": "top"}),
    Filter("scale", {"w": "iw", "h": "2*ih", "flags": "lanczos"}),
    Filter("setsar", {"sar": "sar/2"}),
    Filter("format", {"pix_fmts": "yuv420p|yuv422p|yuv444p|gbrp|gray|yuv420p10le|yuv422p10le"}),
)

# The longer way round, so that nothing is lost. "sar" is that of the upright frame. Chroma stays as coarse as
# it is stored: in full chroma, faces look otherwise to a network: P(fake) of genuine ones rose by up to 0.24.
_SQUARE = (
    Filter("scale", {"w": "round(iw*max(sar,1))", "h": "round(ih/min(sar,1))"}),
    Filter("setsar", {"sar": 1}),
    Filter("format", {"pix_fmts": "yuv420p|yuv422p|yuv444p|gbrp|gray"}),
)


def _tone_mapping(colour: Colour) -> tuple[Filter, ...]:
    """PQ or HLG to BT.709, by tonemap's mobius.

    It ends in 4:2:0, as SDR clips are stored: in full chroma, faces look otherwise to a network. So they do
    where the chroma is resampled less exactly than by bicubic.
    """
    known = {"tin": colour.transfer, "min": colour.matrix, "pin": colour.primaries}
    return (
        Filter("zscale", {**known, "t": "linear", "npl": WHITE_NITS, "f": "bicubic"}),
        Filter("format", {"pix_fmts": "gbrpf32le"}),
        Filter("zscale", {"p": "bt709"}),
        Filter("tonemap", {"tonemap": "mobius", "param": KEPT, "desat": 0}),
        Filter("zscale", {"t": "bt709", "m": "bt709", "r": "tv", "f": "bicubic"}),
        Filter("format", {"pix_fmts": "yuv420p"}),
    )


def presentation_of(stream: VideoStream, program: str) -> tuple[Presentation, list[Remark]]:
    """How a stream is to be shown by its header, as far as this ffmpeg can, and what is to be said of it.

    What is interlaced is told by the frames themselves, see :mod:`vidscan.media.interlacing`.
    """
    shown, remarks = Presentation(stream.number), []
    if stream.dolby_alone:
        remarks.append(
            Remark(
                "dolby-vision-colours",
                "Its Dolby Vision picture has no base layer that other players show, so colours are wrong.",
            )
        )
    elif stream.hdr is not None:
        shown, remark = _with_colours(shown, stream, stream.hdr, program)
        remarks.append(remark)
    if stream.shape != 1:
        shown, remark = _with_square_pixels(shown, stream)
        remarks.append(remark)
    return shown, remarks


def _with_colours(
    shown: Presentation, stream: VideoStream, told: Colour, program: str
) -> tuple[Presentation, Remark]:
    name = f"HDR ({_HDR_NAMES[told.transfer]})"
    matrix = "bt2020nc" if told.matrix in ("unknown", "bt2020nc") else told.matrix
    primaries = "bt2020" if told.primaries in ("unknown", "bt2020") else told.primaries
    if matrix not in ("bt2020nc", "bt709") or primaries not in ("bt2020", "bt709", "smpte432"):
        said = f"It is {name} of a kind that is not mapped ({matrix}, {primaries}), so colours are wrong."
    elif stream.width % 2 or stream.height % 2:
        said = f"It is {name} of an odd size, which zscale does not take, so colours are wrong."
    elif missing := [each for each in _TONE_MAPPERS if each not in filters(program)]:
        said = (
            f"It is {name}, and this ffmpeg cannot map it to SDR, as it has no {' and no '.join(missing)}: "
            "colours are wrong. The embedded ffmpeg can: unset VIDSCAN_FFMPEG or take ffmpeg off the PATH."
        )
    else:
        mapped = replace(shown, colour=Colour(matrix, primaries, told.transfer))
        return mapped, Remark("tone-mapped", f"It is {name}: its frames were mapped to SDR (BT.709).")
    return shown, Remark("hdr-colours", said)


def _with_square_pixels(shown: Presentation, stream: VideoStream) -> tuple[Presentation, Remark]:
    oblong = max(stream.shape, 1 / stream.shape)
    shape = f"{stream.shape.numerator}:{stream.shape.denominator}"
    if oblong > MAX_STRETCH or stream.width * stream.height * oblong > MAX_PIXELS:
        said = f"It says that its pixels are {shape}, which cannot be: they were taken for square."
        return shown, Remark("pixel-shape", said)
    said = f"Its pixels are not square ({shape}): its frames were stretched to what a player shows."
    return replace(shown, stretch=True), Remark("square-pixels", said)
