"""Which moments of a clip are looked at, and that the pictures come out upright and in colour."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from vidscan.errors import DecodeError, SourceError
from vidscan.media.frames import read_still, sample_frames
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Source, SourceKind

LOSSLESS = ("-c:v", "ffv1")


def sample(path: Path, fps: float = 2.0, kind: SourceKind = SourceKind.VIDEO) -> list[Frame]:
    return list(sample_frames(Source("7", path, kind), SamplingOptions(fps)))


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.time_s, 3) for frame in frames]


def lavfi(graph: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", graph)


def brightening(rate: int, seconds: float) -> str:
    """A grey picture whose luma is 20 + 55 * t, so that every frame tells its own time."""
    return f"color=black:size=64x48:rate={rate}:duration={seconds},geq=lum='20+55*T':cb=128:cr=128"


def told_time(frame: Frame) -> float:
    """The time that a frame of :func:`brightening` tells; luma 16-235 is spread over 0-255."""
    return (frame.image.mean() * 219 / 255 + 16 - 20) / 55


def test_two_frames_a_second(clip: Path):
    frames = sample(clip)
    # The clip has no frame at 0.5 s; the first one in that half second is at 0.52 s.
    assert times(frames) == [0.0, 0.52, 1.0, 1.52]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert {frame.source_id for frame in frames} == {"7"}
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("fps", [0.1, 0.7, 1.0, 3.0, 10.0, 24.0])
def test_every_period_gives_its_first_frame(clip: Path, fps: float):
    found = [frame.time_s for frame in sample(clip, fps)]
    assert len(found) == np.ceil(2 * fps)
    for period, time in enumerate(found):
        assert 0 <= time - period / fps < 0.04 + 0.001


@pytest.mark.parametrize("fps", [25.0, 30.0, 1000.0])
def test_clip_with_fewer_frames_gives_each_of_them_once(clip: Path, fps: float):
    assert times(sample(clip, fps)) == [round(index / 25, 3) for index in range(50)]


def test_times_are_those_of_the_pictures(make_clip):
    frames = sample(make_clip("brightening.mkv", *lavfi(brightening(30, 3)), *LOSSLESS), 4.0)
    assert len(frames) == 12
    for frame in frames:
        assert told_time(frame) == pytest.approx(frame.time_s, abs=0.03)


def test_variable_frame_rate(make_clip):
    """20 frames in the first second, two in the second, none for a while, then 20 again."""
    graph = brightening(20, 4) + ",select='lt(t,1)+lt(t,2)*not(mod(n,10))+gte(t,3.15)'"
    path = make_clip("variable.mkv", *lavfi(graph), *LOSSLESS)
    frames = sample(path)
    assert times(frames) == [0.0, 0.5, 1.0, 1.5, 3.15, 3.5]
    for frame in frames:
        assert told_time(frame) == pytest.approx(frame.time_s, abs=0.03)
    assert len(sample(path, 100.0)) == 20 + 2 + 17


def test_stream_that_starts_late_starts_at_zero(make_clip):
    graph = "testsrc=size=64x48:rate=10:duration=1"
    path = make_clip("late.ts", *lavfi(graph), "-c:v", "mpeg2video", "-output_ts_offset", "100")
    assert times(sample(path)) == [0.0, 0.5]


def test_odd_size_in_colour(make_clip):
    path = make_clip("odd.mkv", *lavfi("color=red:size=65x47:rate=5:duration=0.4"), *LOSSLESS)
    (frame,) = sample(path)
    assert frame.image.shape == (47, 65, 3)
    red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(make_clip, degrees: int, quarters: int):
    """The clip says by how much to turn it counter-clockwise; its upper left corner is white."""
    corner = "color=black:size=64x48:rate=5:duration=0.4,drawbox=w=32:h=24:color=white:t=fill"
    stored = make_clip("corner.mp4", *lavfi(corner), "-c:v", "mpeg4", "-q:v", "2")
    try:
        turned = make_clip(
            f"turned{degrees}.mp4", "-display_rotation", str(degrees), "-i", stored, "-c", "copy"
        )
    except subprocess.CalledProcessError:
        pytest.skip("this ffmpeg cannot write a rotation")
    (upright,), (frame,) = sample(stored), sample(turned)
    assert upright.image[12, 16].min() > 200 and upright.image[36, 48].max() < 50
    assert np.abs(frame.image.astype(int) - np.rot90(upright.image, quarters)).max() < 30


def test_resolution_may_change_in_mid_stream(make_clip, tmp_path: Path):
    parts = [
        make_clip(
            f"{size}.ts",
            *lavfi(f"color={colour}:size={size}:rate=10:duration=1"),
            *("-c:v", "mpeg2video", "-output_ts_offset", str(start)),
        )
        for start, (size, colour) in enumerate((("64x48", "red"), ("96x64", "blue")))
    ]
    path = tmp_path / "changing.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = sample(path)
    assert {0.0, 0.5, 1.0, 1.5} <= set(times(frames))
    assert len(frames) <= 5  # ffmpeg may look once more where it starts anew
    assert all(a < b for a, b in pairwise(times(frames)))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert frames[0].image[24, 32, 0] > 200 and frames[-1].image[24, 32, 2] > 200


def test_empty_and_missing_files(tmp_path: Path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(SourceError, match=r"empty\.mp4: the file is empty"):
        sample(empty)
    with pytest.raises(SourceError, match=r"gone\.mp4: cannot be read \(No such file"):
        sample(tmp_path / "gone.mp4")


def test_text_as_clip_and_as_still(text_as_clip: Path):
    for kind in SourceKind:
        with pytest.raises(DecodeError) as caught:
            sample(text_as_clip, kind=kind)
        assert "\n" not in str(caught.value)


# Stills


def quarters() -> np.ndarray:
    """40x60 RGB whose quarters are red, green, blue and white, row by row."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30], picture[:20, 30:] = (255, 0, 0), (0, 255, 0)
    picture[20:, :30], picture[20:, 30:] = (0, 0, 255), (255, 255, 255)
    return picture


def close(a: np.ndarray, b: np.ndarray, limit: int = 40) -> bool:
    """Alike but for what JPEG does at edges."""
    return a.shape == b.shape and np.quantile(np.abs(a.astype(int) - b), 0.95) <= limit


def test_still_is_one_frame_at_zero(tmp_path: Path):
    Pillow.fromarray(quarters()).save(tmp_path / "still.png")
    (frame,) = sample(tmp_path / "still.png", kind=SourceKind.IMAGE)
    assert (frame.index, frame.time_s, frame.source_id) == (0, 0.0, "7")
    assert np.array_equal(frame.image, quarters())


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int):
    """The meaning of the tag is that of the EXIF standard, 0x0112."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    Pillow.fromarray(quarters()).save(path, exif=exif, quality=95, subsampling=0)
    assert close(read_still(path), TURNED[orientation](quarters()))


def test_grey_picture(tmp_path: Path):
    grey = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))
    Pillow.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(read_still(tmp_path / "grey.png"), np.repeat(grey[:, :, None], 3, axis=2))


def test_transparency_is_left_out(tmp_path: Path):
    with_alpha = np.dstack([quarters(), np.full((40, 60), 9, np.uint8)])
    Pillow.fromarray(with_alpha).save(tmp_path / "alpha.png")
    assert np.array_equal(read_still(tmp_path / "alpha.png"), quarters())


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits(tmp_path: Path, channels: int):
    deep = np.full((8, 8, channels), 40_000, np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    assert np.all(np.abs(read_still(tmp_path / "deep.png").astype(int) - 40_000 / 257) <= 1)


def test_cmyk(tmp_path: Path):
    Pillow.fromarray(quarters()).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert close(read_still(tmp_path / "print.jpg"), quarters())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_truncated_still(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"cut{suffix}"
    Pillow.fromarray(noise).save(path)
    assert read_still(path).shape == (64, 64, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(DecodeError) as caught:
        read_still(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert "OpenCV" not in capfd.readouterr().err


def test_name_that_is_no_utf8(tmp_path: Path):
    Pillow.fromarray(quarters()).save(tmp_path / "plain.png")
    strange = tmp_path / b"\xff\xfe.png".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / "plain.png").rename(strange)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert np.array_equal(read_still(strange), quarters())
