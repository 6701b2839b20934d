"""Finds out whether a stream's frames hold two moments each, by their marks, their combs and ffmpeg's idet.

A mark alone says little: film and computer-made pictures are often stored as fields although both are of one
moment, and such frames are looked at whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from vidscan.errors import DecodeError
from vidscan.media.combs import combed
from vidscan.media.ffmpeg import decode
from vidscan.media.ffmpeg.decode import Picture
from vidscan.media.ffmpeg.presentation import Presentation

MAX_SUSPICIONS = 3
"""How often idet is asked about a clip's frames that seem to have combs: stripes look like them."""

_MIN_INTERLACED = 8
_FIELDS_SHARE, _OTHERS_SHARE = 0.6, 0.2
"""Lower limits on the number and the share of frames that are interlaced in one order where the file does not
say so: of four talking heads with combs, 88% to 100% were; of test patterns without, up to 51%. And an upper
limit on those in the other order, and on those that repeat a field: of pictures that went through a 3:2
pulldown, two in five do."""

_MARKED_SHARE = 0.3
"""Lower limit on the share of either order where the file does say so. Of 24 talking heads stored as fields,
no frame was interlaced where both fields were of one moment (24% of a test pattern's were), and where they
were not, 51% and more, however slow the motion."""

# Of what idet prints at the end: frames by the order of their fields, and those that repeat one.
_IDET = re.compile(
    r"^\[[^\n]*\] Single frame detection: TFF: *(\d+) BFF: *(\d+) Progressive: *(\d+) Undetermined: *(\d+)",
    re.MULTILINE,
)
_REPEATED = re.compile(r"^\[[^\n]*\] Repeated Fields: Neither: *\d+ Top: *(\d+) Bottom: *(\d+)", re.MULTILINE)

Start: TypeAlias = Callable[[Presentation], Generator[Picture, None, None]]


class Fields(Enum):
    """Which frames of a stream are of two moments: those that are marked, or all."""

    MARKED = "marked"
    ALL = "all"


@dataclass(slots=True)
class Doubts:
    """What is not settled of a stream.

    ``suspicions``: how many of its frames seemed to have combs. ``marks_rest_until_s``: its marks, once
    found wrong, are believed wrong until then.
    """

    suspicions: int = 0
    marks_rest_until_s: float = 0.0

    def settle(self, path: Path, shown: Presentation, picture: Picture, time_s: float) -> Fields | None:
        """Which frames turn out to be of two moments as one is seen, which is at ``time_s`` by its clock.

        None is none so far. Where marks turn out to be wrong, they are looked into again after 2, 6, 14 s
        and so on: interlaced parts may follow.
        """
        suspicious = self.suspicions < MAX_SUSPICIONS and combed(picture.image)
        if not suspicious and not (picture.interlaced and time_s >= self.marks_rest_until_s):
            return None
        self.suspicions += suspicious
        if picture.interlaced:
            self.marks_rest_until_s = 2 * time_s + 2
        if not interlaced(path, shown, time_s, marked=picture.interlaced):
            return None
        return Fields.MARKED if picture.interlaced else Fields.ALL


def interlaced(path: Path, shown: Presentation, time_s: float, *, marked: bool) -> bool:
    """Tells by ffmpeg's idet whether two seconds are interlaced, from just before a moment on.

    Where they are ``marked`` as such, only whole frames speak against it, or nothing that idet does not tell.
    Where not, anything but a clear majority of frames in one order is taken for none, and so is film after a
    pulldown.
    """
    seek = ("-ss", f"{time_s - 0.5:.3f}", "-t", "2") if time_s > 0.5 else ("-t", "2")
    try:
        said = decode.said(path, "-map", f"0:{shown.selector}", "-vf", "idet", "-f", "null", "-", before=seek)
    except DecodeError:
        return marked
    found, repeated = _IDET.findall(said), _REPEATED.findall(said)
    if not found or not repeated:
        return marked
    top, bottom, *others = map(int, found[-1])
    frames = top + bottom + sum(others)
    if marked:
        return top + bottom > _MARKED_SHARE * frames
    few = max(min(top, bottom), sum(map(int, repeated[-1]))) <= _OTHERS_SHARE * frames
    return few and max(top, bottom) >= max(_FIELDS_SHARE * frames, _MIN_INTERLACED)


def of_one_moment(start: Start, shown: Presentation, fields: Fields | None) -> Generator[Picture, None, None]:
    """The pictures of a stream; where ``fields`` says that they are of two moments, one field of theirs.

    Where only some are, the stream is read once more beside it from the first on that is whole.
    """
    if fields is None:
        yield from start(shown)
        return
    with ExitStack() as opened:
        halves = opened.enter_context(closing(start(replace(shown, one_field=True))))
        wholes, passed = None, 0
        for number, half in enumerate(halves):
            if half.interlaced or fields is Fields.ALL:
                yield half._replace(interlaced=False)
                continue
            if wholes is None:
                wholes = opened.enter_context(closing(start(shown)))
            yield next(islice(wholes, number - passed, None), half)
            passed = number + 1
