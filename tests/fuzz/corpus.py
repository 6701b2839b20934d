"""Small media of many kinds, made on the spot: what :mod:`mutation` damages.

Each shows faces (of the samples), lasts about a second and has a few kilobytes, so that a damaged byte is
likely to matter. Two runs with one ffmpeg give the same bytes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from vidscan.media.ffmpeg.decode import find_program

SAMPLES = Path(__file__).parents[2] / "samples"

_EXACT = ("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1")
_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "6", "-pix_fmt", "yuv420p")
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1:frame-threads=1")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
_AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime")
_SOUND = ("-f", "lavfi", "-i", "sine=duration=1.2", "-c:a", "aac", "-shortest")

CLIPS: dict[str, tuple[str, ...]] = {
    "h264.mp4": _X264,
    "h264-sound.mp4": (*_SOUND, *_X264, "-movflags", "+faststart"),
    "h264-fragments.mp4": (*_X264, "-movflags", "+frag_keyframe+empty_moov"),
    "h264-10bit.mkv": (*_X264, "-pix_fmt", "yuv420p10le"),
    "h264.mov": _X264,
    "h264.ts": _X264,
    "h264.flv": _X264,
    "h264.h264": _X264,  # a bare stream, which has no timestamps
    "hevc.mp4": (*_X265, "-pix_fmt", "yuv420p", "-tag:v", "hvc1"),
    "hevc-10bit.mkv": (*_X265, "-pix_fmt", "yuv420p10le"),
    "vp9.webm": (*_VP9, "-pix_fmt", "yuv420p"),
    "vp9-10bit.webm": (*_VP9, "-pix_fmt", "yuv420p10le", "-profile:v", "2"),
    "av1.mp4": (*_AV1, "-pix_fmt", "yuv420p"),
    "av1-10bit.mkv": (*_AV1, "-pix_fmt", "yuv420p10le"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "5"),
    "mpeg4.3gp": ("-c:v", "mpeg4", "-q:v", "5"),
    "mjpeg.avi": ("-c:v", "mjpeg", "-q:v", "8", "-pix_fmt", "yuvj420p"),
    "mjpeg.mov": ("-c:v", "mjpeg", "-q:v", "8", "-pix_fmt", "yuvj420p"),
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "0"),
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-r", "25"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-r", "25"),
    "mpeg2.mxf": ("-c:v", "mpeg2video", "-r", "25"),
    "wmv.wmv": ("-c:v", "wmv2",),
    "theora.ogv": ("-c:v", "libtheora",),
    "gif.gif": (),
    "variable.mkv": ("-vf", "select='not(mod(n,3))+gt(n,9)',scale=192:-2", "-fps_mode", "vfr", *_X264),
    "odd.mkv": ("-vf", "scale=161:91", "-c:v", "ffv1"),
    "odd.mp4": ("-vf", "scale=161:91", "-c:v", "mpeg4"),
    "negative.mkv": ("-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled", *_X264),
    "late.mp4": ("-output_ts_offset", "1000", *_X264),
    "two-streams.mp4": ("-map", "0:v", "-map", "0:v", *_X264),
    "oblong.mp4": ("-vf", "scale=96:108,setsar=2/1", *_X264),
    "fields.ts": ("-vf", "scale=192:96,tinterlace=4", "-c:v", "mpeg2video", "-flags:v", "+ildct+ilme"),
    "pq.mp4": ("-vf", "scale=192:-2,setparams=color_trc=smpte2084", *_X264, "-pix_fmt", "yuv420p10le"),
    "rawvideo.avi": ("-vf", "scale=64:36", "-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
}  # fmt: skip

STILLS: dict[str, tuple[str, ...]] = {
    "still.jpg": ("-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p"),
    "still.png": ("-c:v", "png"),
    "deep.png": ("-c:v", "png", "-pix_fmt", "rgb48be"),
    "grey.png": ("-c:v", "png", "-pix_fmt", "gray"),
    "alpha.png": ("-c:v", "png", "-pix_fmt", "rgba"),
    "still.webp": ("-c:v", "libwebp"),
    "lossless.webp": ("-c:v", "libwebp", "-lossless", "1", "-vf", "scale=96:-2"),
    "still.bmp": ("-c:v", "bmp", "-vf", "scale=96:-2"),
    "still.tiff": ("-c:v", "tiff", "-compression_algo", "lzw"),
    "plain.tif": ("-c:v", "tiff", "-compression_algo", "raw", "-vf", "scale=96:-2"),
    "still.gif": ("-c:v", "gif",),
    "still.ppm": ("-c:v", "ppm", "-vf", "scale=96:-2"),
    "still.jp2": ("-c:v", "libopenjpeg", "-pix_fmt", "rgb24"),
    "still.jxl": ("-c:v", "libjxl",),
}  # fmt: skip

ROTATED, CHANGING, JOINED = "rotated.mp4", "changing.ts", "joined.webm"
CMYK, TURNED, DEEP, PAIR = "cmyk.jpg", "turned.jpg", "deep.tiff", "pair.mpo"
MOTION = "motion.jpg"
MOVING = "moving-webp.mov"  # by this name a clip, and by its content none of ffmpeg's
PHOTOGRAPHS = (MOVING, MOTION, CMYK, TURNED, DEEP, PAIR, "still.heic", "still.avif", "moving.avif")
NAMES = (*CLIPS, ROTATED, CHANGING, JOINED, *STILLS, *PHOTOGRAPHS)


def make(folder: Path, names: Iterable[str] = NAMES) -> tuple[list[Path], list[str]]:
    """Makes the named media in ``folder``.

    Returns:
        The files, and the names of those for which this ffmpeg has no encoder.
    """
    made, missing = [], []
    for name in names:
        try:
            _make_one(folder / name)
        except (subprocess.CalledProcessError, ImportError, KeyError):
            (folder / name).unlink(missing_ok=True)
            missing.append(name)
        else:
            made.append(folder / name)
    return made, missing


def _make_one(path: Path) -> None:
    if path.name == ROTATED:
        _make_one(plain := path.with_name("unturned.mp4"))
        _encode(("-display_rotation", "90", "-i", str(plain)), ("-c", "copy"), path)
        plain.unlink()
    elif path.name == JOINED:
        _encode(_clip(), _scaled(CLIPS["vp9.webm"]), part := path.with_name("part.webm"))
        path.write_bytes(2 * part.read_bytes())
        part.unlink()
    elif path.name == CHANGING:
        parts = []
        for number, size in enumerate(("192:108", "128:96")):
            part = path.with_name(f"part{number}.ts")
            options = (
                "-vf",
                f"scale={size}",
                "-c:v",
                "mpeg2video",
                "-r",
                "25",
                "-output_ts_offset",
                f"{number}",
            )
            _encode(_clip(), options, part)
            parts.append(part.read_bytes())
            part.unlink()
        path.write_bytes(b"".join(parts))
    elif path.name in PHOTOGRAPHS:
        _make_photograph(path)
    elif path.name in STILLS:
        _encode(("-i", str(SAMPLES / "astronaut.jpg")), ("-frames:v", "1", *_scaled(STILLS[path.name])), path)
    else:
        _encode(_clip(), _scaled(CLIPS.get(path.name, _X264)), path)


def _clip() -> tuple[str, ...]:
    return ("-t", "1.2", "-i", str(SAMPLES / "two-faces.mp4"))


def _scaled(options: tuple[str, ...]) -> tuple[str, ...]:
    return options if "-vf" in options else (*options, "-vf", "scale=192:-2")


def _encode(source: tuple[str, ...], options: tuple[str, ...], path: Path) -> None:
    more = 0
    if options[:1] == ("-f",):  # a second input comes first
        more = 4
    command = [
        find_program(),
        "-nostdin",
        "-v",
        "quiet",
        "-y",
        *source,
        *options[:more],
        *_EXACT,
        *options[more:],
    ]
    subprocess.run([*command, str(path)], check=True, timeout=60)


def _make_photograph(path: Path) -> None:
    from PIL import Image

    photograph = Image.open(SAMPLES / "astronaut.jpg").resize((160, 160))
    if path.name == CMYK:
        photograph.convert("CMYK").save(path, quality=70)
    elif path.name == DEEP:
        photograph.convert("L").convert("F").save(path)
    elif path.name in (PAIR, "moving.avif"):
        photograph.save(path, quality=70, save_all=True, append_images=[photograph.rotate(180)])
    elif path.name == MOVING:
        photograph.save(path, "WEBP", quality=70, save_all=True, append_images=[photograph.rotate(180)])
    elif path.name == MOTION:
        _make_one(clip := path.with_name("behind.mp4"))
        photograph.save(path, quality=70)
        path.write_bytes(path.read_bytes() + clip.read_bytes())
        clip.unlink()
    elif path.name == "still.heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
        photograph.save(path, quality=70)
    elif path.name == "still.avif":
        photograph.save(path, quality=70)
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        photograph.save(path, quality=70, progressive=True, exif=exif)
