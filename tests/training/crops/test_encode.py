from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import VidscanError
from vidscan.media.ffmpeg.decode import find_program, probe, stream_frames
from vidscan_training.crops import encode
from vidscan_training.crops.encode import recompress, through_h264


@pytest.fixture(autouse=True)
def some_ffmpeg():
    try:
        find_program()
    except VidscanError as error:
        pytest.skip(str(error))


def gradients(count=3, height=48, width=64):
    """Smooth pictures, each of another colour, with an edge in each."""
    rows, columns = np.mgrid[0:height, 0:width]
    pictures = []
    for number in range(count):
        picture = np.stack([rows * 4, columns * 3, np.full_like(rows, 60 + 60 * number)], axis=2)
        picture[height // 3 : height // 2, width // 4 : width // 2] = 255 - 80 * number
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def loss(pictures, others):
    pairs = zip(pictures, others, strict=True)
    return float(np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in pairs]) ** 0.5)


def test_pictures_come_back_in_order_a_little_changed():
    pictures = gradients()
    before = [picture.copy() for picture in pictures]
    returned = through_h264(pictures, 23)
    for picture, other in zip(pictures, returned, strict=True):
        assert (other.shape, other.dtype) == (picture.shape, np.uint8)
        assert 0 < loss([picture], [other]) < 12
        assert loss([picture], [other]) < min(loss([picture], [p]) for p in pictures if p is not picture)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, before, strict=True))


def test_a_higher_crf_loses_more():
    lost = [loss(gradients(), through_h264(gradients(), crf)) for crf in (10, 23, 35, 48)]
    assert lost == sorted(lost)
    assert lost[-1] > 2 * lost[0]


def test_every_picture_is_coded_by_itself():
    rng = np.random.default_rng(0)
    busy = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)]
    pictures = [*busy, *gradients(), *busy]
    together = through_h264(pictures, 35)
    for picture, other in zip(pictures, together, strict=True):
        assert np.array_equal(through_h264([picture], 35)[0], other)


@pytest.mark.parametrize(("height", "width"), [(33, 48), (48, 33), (17, 17)])
def test_odd_sides_come_back_odd(height, width):
    pictures = gradients(2, height, width)
    returned = through_h264(pictures, 20)
    assert [picture.shape for picture in returned] == [(height, width, 3)] * 2
    assert loss(pictures, returned) < 15


def test_no_pictures_need_no_ffmpeg(monkeypatch):
    monkeypatch.setattr(encode, "find_program", lambda: pytest.fail("ffmpeg was asked for"))
    assert through_h264([], 23) == []


@pytest.mark.parametrize(
    ("pictures", "crf"),
    [
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)], 23),
        ([np.zeros((32, 32), np.uint8)], 23),
        ([np.zeros((32, 32, 3), np.float32)], 23),
        ([np.zeros((32, 32, 3), np.uint8)], 52),
    ],
)
def test_what_cannot_be_encoded_is_refused(pictures, crf):
    with pytest.raises(ValueError, match=r"uint8 RGB|CRF 52"):
        through_h264(pictures, crf)


def fake_ffmpeg(folder: Path, code: str) -> str:
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    return str(program)


def test_a_failing_ffmpeg_is_an_error_with_its_cause(tmp_path, monkeypatch):
    code = "import sys; sys.stdin.buffer.read(); print('Unknown encoder', file=sys.stderr); sys.exit(1)"
    program = fake_ffmpeg(tmp_path, code)
    monkeypatch.setattr(encode, "find_program", lambda: program)
    with pytest.raises(VidscanError, match=r"\(Unknown encoder\): set VIDSCAN_FFMPEG"):
        through_h264(gradients(1), 23)


def test_a_program_that_is_none_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "find_program", lambda: str(tmp_path / "absent"))
    with pytest.raises(VidscanError, match="cannot be run"):
        through_h264(gradients(1), 23)


def test_frames_that_get_lost_are_noticed(tmp_path, monkeypatch):
    program = fake_ffmpeg(tmp_path, "import sys; sys.stdin.buffer.read(); sys.stdout.write('few')")
    monkeypatch.setattr(encode, "find_program", lambda: program)
    with pytest.raises(VidscanError, match="3 bytes back"):
        through_h264(gradients(1), 23)


@pytest.mark.slow
def test_a_hung_ffmpeg_is_ended(tmp_path, monkeypatch):
    code = "import os, time, pathlib; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(60)"
    noted = tmp_path / "pid"
    program = fake_ffmpeg(tmp_path, code.format(str(noted)))
    monkeypatch.setattr(encode, "find_program", lambda: program)
    monkeypatch.setattr(encode, "STALL_TIMEOUT_S", 2.0)
    with pytest.raises(VidscanError, match="did not finish within 2 s"):
        through_h264(gradients(1), 23)
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


def test_a_clip_is_written_smaller_with_its_times(clip, tmp_path):
    half, coarse = tmp_path / "half ü.mkv", tmp_path / "coarse.mkv"
    recompress(clip, half, crf=17, scale=0.5)
    recompress(clip, coarse, crf=45)
    before, after = probe(clip), probe(half)
    assert abs(after.width - before.width / 2) <= 1
    assert abs(after.height - before.height / 2) <= 1
    assert probe(coarse).width == before.width
    assert coarse.stat().st_size < half.stat().st_size
    times = [[time for time, _ in stream_frames(path, 4.0)] for path in (clip, half)]
    assert times[0] == pytest.approx(times[1], abs=0.011)


@pytest.mark.parametrize("wanted", [{"crf": 52}, {"crf": 20, "scale": 0.0}, {"crf": 20, "scale": 1.5}])
def test_an_impossible_recompression_is_refused(bright_clip, tmp_path, wanted):
    with pytest.raises(ValueError, match="CRF"):
        recompress(bright_clip, tmp_path / "out.mkv", **wanted)


def test_a_clip_that_is_none_says_so(text_as_clip, tmp_path):
    with pytest.raises(VidscanError, match="could not compress"):
        recompress(text_as_clip, tmp_path / "out.mkv", crf=20)
