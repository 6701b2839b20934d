"""HDR stills are mapped to SDR, whatever format they come in."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from vidscan.media.ffmpeg.program import filters, find_program
from vidscan.media.frames import open_still
from vidscan.media.stills.photograph import Photograph
from vidscan.media.stills.tone_mapping import HDR_NAMES, to_sdr

TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}
SIZE = 64


def colours() -> np.ndarray:
    """Soft colours of middle light, as faces have."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.stack([90 + x * 2, 80 + y * 2, 170 - x], axis=2).astype(np.uint8)


def hdr_by_ffmpeg(transfer: int, out: Path, *how: str) -> None:
    """Writes the colours in HDR, in which SDR's white has 203 cd/m²; skips where this ffmpeg cannot."""
    if "zscale" not in filters(find_program()):
        pytest.skip("this ffmpeg has no zscale")
    told = "setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709:range=pc"
    graph = f"format=gbrp,{told},zscale=t={TRANSFERS[transfer]}:m=gbr:p=bt2020:npl=203:r=pc,format=gbrp16le"
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE}x{SIZE}", "-i", "pipe:0")
    command = [find_program(), "-v", "error", "-y", *source, "-vf", graph, *how, "-frames:v", "1", out]
    if subprocess.run(command, check=False, input=colours().tobytes(), capture_output=True).returncode:
        pytest.skip(f"this ffmpeg cannot write {out.suffix}")


def coded(transfer: int, folder: Path) -> Pillow.Image:
    """The colours in HDR, in 8 bits."""
    hdr_by_ffmpeg(transfer, folder / "coded.ppm", "-pix_fmt", "rgb24")
    return Pillow.open(folder / "coded.ppm")


def with_cicp(png: bytes, transfer: int) -> bytes:
    body = b"cICP" + bytes((9, transfer, 0, 1))
    return png[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


def made(name: str, transfer: int, folder: Path) -> Path:
    path = folder / f"hdr.{name}"
    if name == "jxl":
        hdr_by_ffmpeg(transfer, path, "-c:v", "libjxl", "-distance", "0")
    elif name == "png":
        stream = io.BytesIO()
        coded(transfer, folder).save(stream, "PNG")
        path.write_bytes(with_cicp(stream.getvalue(), transfer))
    elif name == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
        told = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9}
        coded(transfer, folder).save(path, "HEIF", quality=100, chroma=444, full_range_flag=1, **told)
    else:
        hdr_by_ffmpeg(transfer, path, "-pix_fmt", "gbrp10le", "-c:v", "libaom-av1", "-crf", "4")
    return path


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("name", ["png", "avif", "heic", "jxl"])
def test_hdr_still_is_mapped_to_what_it_was_made_of(name: str, transfer: int, tmp_path: Path):
    path = made(name, transfer, tmp_path)
    header = open_still(path)[1]
    assert (header.transfer, header.primaries) == (transfer, 9)
    still = Photograph(path)
    (frame,) = still.frames("7")
    difference = np.abs(frame.image.astype(int) - colours())
    assert np.median(difference) <= 3 and np.quantile(difference, 0.9) <= 10
    stored = np.asarray(coded(transfer, tmp_path)).astype(int)
    assert np.median(np.abs(stored - colours())) > 12  # as it would look unmapped
    assert [(each.code, HDR_NAMES[transfer] in each.text) for each in still.remarks] == [
        ("tone-mapped", True)
    ]


@pytest.mark.parametrize("name", ["png", "avif", "jxl"])
def test_sdr_still_is_left_as_it_is(name: str, tmp_path: Path):
    path = tmp_path / f"sdr.{name}"
    Pillow.fromarray(colours()).save(tmp_path / "sdr.png")
    if name == "jxl":
        command = [find_program(), "-v", "error", "-i", tmp_path / "sdr.png", "-distance", "0", path]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this ffmpeg has no JPEG XL")
    elif name == "avif":
        Pillow.fromarray(colours()).save(path, quality=100, subsampling="4:4:4")
    still = Photograph(path)
    (frame,) = still.frames("7")
    assert np.abs(frame.image.astype(int) - colours()).max() <= 6
    assert still.remarks == []


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_light_keeps_its_order_and_grey_stays_grey(transfer: int):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    shown = to_sdr(ramp, transfer, 9).astype(int)
    assert np.all(np.diff(shown[0, :, 1]) >= 0) and shown[0, 0, 1] == 0 and shown[0, -1, 1] > 245
    assert np.ptp(shown, axis=2).max() <= 1
