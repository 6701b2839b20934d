"""Draws heat maps over their crops with a colour scale, and writes them as PNG files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vidscan.errors import ReportError
from vidscan.records import EvidenceCrop, Heat, HeatKind, HeatSource, Image, Source
from vidscan.report.content.pictures import heat_colours
from vidscan.system.files import raising, replacing, sha256_of

_STRONGEST = 0.6
"""Opacity of the hottest part; what lies beneath must still be seen."""

_WHITE, _GREY = (255, 255, 255), (170, 170, 170)
_MIN_SIDE = 256
"""Smaller crops are enlarged to this side in pixels, so that the scale beside them can be read."""

_MAX_NAME = 15
"""Upper limit on the characters of a network's name in the panel."""


def overlay(image: Image, heat: Heat) -> Image:
    """Draws ``heat``, ``float32[cells, cells]``, 0-1, over a crop, more opaque where it is hotter.

    Takes and returns RGB ``uint8[size, size, 3]``.
    """
    height, width = image.shape[:2]
    smooth = np.clip(cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    opacity = (_STRONGEST * np.sqrt(smooth))[..., None]
    return np.asarray(np.rint(image * (1 - opacity) + _coloured(smooth) * opacity), np.uint8)


def with_scale(image: Image, heat: Heat, source: HeatSource | None = None) -> Image:
    """Draws :func:`overlay` with the colour scale and a legend that names ``source`` to the right.

    Returns RGB ``uint8[height, width, 3]``, at least 256 px high.
    """
    side = max(image.shape[0], _MIN_SIDE)
    large = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    text, edge = side // 18, side // 16
    panel = np.full((side, side // 2, 3), 24, np.uint8)
    top = 3 * edge
    ramp = np.linspace(1.0, 0.0, side - 5 * edge, dtype=np.float32)[:, None].repeat(edge, axis=1)
    panel[top : top + len(ramp), edge : 2 * edge] = _coloured(ramp)
    font = cv2.FontFace("sans")

    def say(words: str, row: float, colour: tuple[int, int, int], column: float = 2.5) -> None:
        place = (round(column * edge), round(row))
        cv2.putText(panel, words, place, colour, font, text, 500)

    if source is not None:
        name = source.network
        say(f"{source.method} of", edge * 1.1, _GREY, 1)
        short = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
        say(short, edge * 1.1 + 1.2 * text, _GREY, 1)
    say("most", top + text * 0.8, _WHITE)
    # Shares are drawn beyond those of the crop's average part.
    coldest = "average" if source is not None and source.kind is HeatKind.SHARES else "none"
    say(coldest, top + len(ramp), _WHITE)
    say("speaks for" if heat.any() else "nothing for", side / 2, _GREY)
    say("a forgery", side / 2 + 1.3 * text, _GREY)
    say("within this crop", side - edge * 0.6, _GREY, 1)
    return np.concatenate([overlay(large, heat), panel], axis=1)


def _coloured(values: Heat) -> Image:
    return np.asarray(cv2.cvtColor(heat_colours(values), cv2.COLOR_BGR2RGB), np.uint8)


def file_stem(source: Source) -> str:
    """Returns a file name for a source, with a hash of its path to tell sources of the same name apart."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", source.path.stem)[:60].strip("._-") or "file"
    return f"{plain}-{sha256_of(os.fsencode(source.name))[:6]}"


def check_folder(folder: Path, flag: str) -> None:
    """Creates the folder of a flag such as ``--explain-dir``.

    Raises:
        ReportError: it can be neither created nor written to.
    """
    given = f"{flag} {str(folder)!r}"
    with raising(lambda why: ReportError(f"{given}: no folder can be made there ({why}): name another")):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ReportError(f"{given}: it cannot be written to: change its permissions, or name another")


def write_heat_maps(source: Source, evidence: Sequence[EvidenceCrop], folder: Path) -> int:
    """Writes two PNG files for each crop with a heat map: the crop, and the map over it with a scale.

    Names tell file, track, time and score; each file appears whole or not at all. Returns the number of maps.

    Raises:
        ReportError: a file cannot be written.
    """
    written = 0
    for crop in evidence:
        if crop.heat is None:
            continue
        name = (
            f"{file_stem(source)}_track{crop.track}_{crop.time_s:08.2f}s"
            f"_frame{crop.frame_index}_fake{crop.fake_probability:.2f}"
        )
        _write_png(folder / f"{name}_crop.png", crop.image)
        _write_png(folder / f"{name}_heat.png", with_scale(crop.image, crop.heat, crop.heat_source))
        written += 1
    return written


def _write_png(path: Path, image: Image) -> None:
    done, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done, "PNG takes any 8-bit picture"
    refused, remedy = f"{path}: the heat map cannot be written", "name another --explain-dir"
    with raising(lambda why: ReportError(f"{refused} ({why}): {remedy}")), replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())
