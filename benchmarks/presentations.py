"""How clips score as they are, and stored in the other ways that people keep them.

Each clip is re-encoded plainly, then stored interlaced (also whole frames as fields), anamorphic, in HDR,
turned, mirrored and with a border that its ``clap`` rectangle cuts off. What differs from the plain one is
what the way of storing it changed. Some ways lose detail or light for good, so their clips are also compared
with a plain one that lost as much: what differs from that is what vidscan makes of the way. Prints the table
of benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import math
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import imageio_ffmpeg

import vidscan
from vidscan.media.ffmpeg.decode import probe

Answer: TypeAlias = tuple[str, float]

WITHIN = 0.10
"""A change of P(fake) that does not matter."""

# Without loss, so that nothing differs but the way of storing.
BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
H264 = ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *BT709)
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le")
SQUARE = "scale=trunc(iw/4)*4:trunc(ih/4)*4,setsar=1,setparams=colorspace=bt709"
FIELDS = "fps=50,crop=iw-64:ih:32+32*sin(2*PI*t):0,tinterlace=4:flags=vlpf"
MOVING = "fps=25,crop=iw-64:ih:32+32*sin(2*PI*t):0"
INTERLACED = ("-field_order", "tt", "-flags", "+ildct+ilme", "-x264-params", "tff=1")


def hdr(transfer: str, white: int) -> tuple[str, ...]:
    """Ffmpeg's arguments for HDR in which SDR's white has so many cd/m²."""
    source = "tin=bt709:min=bt709:pin=bt709:rin=tv"
    target = f"t={transfer}:m=bt2020nc:p=bt2020:r=tv:npl={white}"
    told = (
        f"lossless=1:log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited"
    )
    return ("-vf", f"{SQUARE},zscale={source}:{target}", *HEVC, "-x265-params", told)


def back_from_hdr(transfer: str, white: int) -> tuple[str, ...]:
    """Ffmpeg's arguments for SDR that was HDR in between, without a tone curve."""
    forth = f"tin=bt709:min=bt709:pin=bt709:rin=tv:t={transfer}:m=bt2020nc:p=bt2020:r=tv:npl={white}"
    light = f"zscale={forth},format=yuv420p10le,zscale=t=linear:npl=203,format=gbrpf32le"
    return ("-vf", f"{SQUARE},{light},zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p", *H264)


PLAIN = {
    "plain": ("-vf", SQUARE, *H264),
    "moving": ("-vf", f"{SQUARE},{MOVING}", *H264),
    "every other": ("-vf", rf"{SQUARE},select=not(mod(n\,2))", *H264),
}
"""What the others are compared with: the clip, the clip as a camera that sways would show it, and every other
frame of it, since a frame of two fields takes two."""

OBLONG = {
    "pixels 2:1": ("iw/2", "iw*2", "2/1"),
    "pixels 64:45": ("trunc(iw*45/128)*2", "trunc(iw*64/90)*2", "64/45"),
}
"""By name: how a clip's columns become fewer and more again, and the shape of the pixels between."""

BRIGHT = {
    f"{name}, white {white}": (transfer, white)
    for name, transfer in (("HLG", "arib-std-b67"), ("PQ", "smpte2084"))
    for white in (203, 100)
}
"""By name: the transfer of HDR, and the luminance of SDR's white in it."""

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "interlaced": ("moving", ("-vf", f"{SQUARE},{FIELDS}", *H264, *INTERLACED)),
    "interlaced, not said": ("moving", ("-vf", f"{SQUARE},{FIELDS},setfield=prog", *H264)),
    "interlaced, camera at rest": (
        "every other",
        ("-vf", f"{SQUARE},tinterlace=4:flags=vlpf", *H264, *INTERLACED),
    ),
    "fields of one moment": ("moving", ("-vf", f"{SQUARE},{MOVING},setfield=tff", *H264, *INTERLACED)),
    **{
        name: ("plain", ("-vf", f"{SQUARE},scale={fewer}:ih,setsar={shape}", *H264))
        for name, (fewer, _, shape) in OBLONG.items()
    },
    **{name: ("plain", hdr(*of)) for name, of in BRIGHT.items()},
    "clap": ("plain", ("-vf", f"{SQUARE},pad=iw+160:ih+96:80:48:white", *H264)),
}
"""By name: what each way of storing is compared with, and ffmpeg's arguments for it."""

LOST: dict[str, tuple[str, ...]] = {
    "interlaced": ("-vf", f"{SQUARE},{FIELDS},field=top,scale=iw:ih*2,setsar=1,setfield=prog", *H264),
    **{
        name: ("-vf", f"{SQUARE},scale={fewer}:ih,scale={more}:ih,setsar=1", *H264)
        for name, (fewer, more, _) in OBLONG.items()
    },
    **{name: back_from_hdr(*of) for name, of in BRIGHT.items()},
}
LOST["interlaced, not said"] = LOST["interlaced"]
"""By name: ffmpeg's arguments for a plain clip that lost what the way of storing loses. Of fields, one is
kept and its lines doubled; HDR comes back by its inverse, with white at 203 cd/m² as vidscan assumes."""

TURNS = {
    "turned": (("-display_rotation", "90"), "transpose=clock"),
    "mirrored": (("-display_hflip",), "hflip"),
}
"""ffmpeg's options by which a file says how to turn or mirror it, and the filter that stores it otherwise."""


LIKES = {**{name: like for name, (like, _) in WAYS.items()}, **dict.fromkeys(TURNS, "plain")}


def encode(*arguments: str | Path) -> None:
    """Runs the embedded ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def set_clap(path: Path, size: tuple[int, int]) -> None:
    """Gives an MP4 whose index comes last, as ffmpeg writes it, a rectangle in the middle of its frames."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"avc1", content.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", content, entry)[0]
    clap = struct.pack(">I4s8I", 40, b"clap", size[0], 1, size[1], 1, 0, 1, 0, 1)
    for kind in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = content.rindex(kind, 0, entry + 8) - 4
        struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + len(clap))
    content[end:end] = clap
    path.write_bytes(content)


def store(clip: Path, seconds: float, folder: Path) -> dict[str, Path]:
    """Writes the clip's first seconds in every way; returns the files by the ways' names."""
    every = {**PLAIN, **{name: arguments for name, (_, arguments) in WAYS.items()}}
    every |= {f"{name}, lost": arguments for name, arguments in LOST.items()}
    made = {name: folder / f"{number}.mp4" for number, name in enumerate([*every, *TURNS])}
    for name, arguments in every.items():
        encode("-i", clip, "-t", str(seconds), "-an", *arguments, made[name])
    plain = probe(made["plain"])
    set_clap(made["clap"], (plain.width, plain.height))
    for name, (options, back) in TURNS.items():
        turned = folder / "turned.mp4"
        encode("-i", clip, "-t", str(seconds), "-an", "-vf", f"{SQUARE},{back}", *H264, turned)
        encode(*options, "-i", turned, "-c", "copy", made[name])
    return made


def answer(report: vidscan.Report) -> Answer:
    """The label and P(fake), NaN without a face."""
    if report.verdict is None:
        raise SystemExit(f"{report.source.name}: {report.error}")
    score = report.verdict.fake_probability
    return report.verdict.label.value, math.nan if score is None else score


def row(pairs: list[tuple[Answer, Answer]]) -> str:
    """Cells on how answers changed: how many labels, P(fake) by how much."""
    if not pairs:
        return " – | – | – | – |"
    other = sum(before[0] != after[0] for before, after in pairs)
    changes = [abs(before[1] - after[1]) for before, after in pairs]
    within = sum(change <= WITHIN for change in changes)
    return f" {other} | {within} | {max(changes):.2f} | {sum(changes) / len(changes):.2f} |"


def table(found: Sequence[Mapping[str, Answer]]) -> str:
    """The table of all ways, of the answers on each clip by the ways' names."""
    head = f"other label | within {WITHIN:.2f} | largest change | mean"
    lines = [f"| stored | {head} | to as much lost: {head} |", 9 * "|---" + "|"]
    for name, like in LIKES.items():
        plain = [(each[like], each[name]) for each in found]
        equal = [(each[f"{name}, lost"], each[name]) for each in found if name in LOST]
        lines.append(f"| {name} |{row(plain)}{row(equal)}")
    return "\n".join(lines)


def main() -> None:
    """Prints a line for each file, and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--fast", action="store_true", help="the smaller network alone")
    asked = parser.parse_args()
    found: list[dict[str, Answer]] = []
    for clip in asked.clips:
        with tempfile.TemporaryDirectory() as folder:
            files = store(clip, asked.seconds, Path(folder))
            reports = vidscan.scan_many(files.values(), fast=asked.fast)
            found.append({name: answer(report) for name, report in zip(files, reports, strict=True)})
        for name, (label, score) in found[-1].items():
            print(f"{clip.stem:24} {name:28} {label:9} {score:.3f}", flush=True)
    print(f"\n{table(found)}")


if __name__ == "__main__":
    main()
