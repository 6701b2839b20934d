"""Recordings that were appended to others byte by byte, which ffmpeg does not go on to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from vidscan.media.appended import left_behind
from vidscan.media.clip import Clip
from vidscan.options import SamplingOptions

CODECS = {
    ".flv": ("-c:v", "flv1"),
    ".mp4": ("-c:v", "mpeg4"),
    ".mov": ("-c:v", "mpeg4"),
}


def recording(make_clip, suffix: str, colour: str) -> Path:
    graph = f"color={colour}:size=64x48:rate=10:duration=1"
    return make_clip(f"{colour}{suffix}", "-f", "lavfi", "-i", graph, *CODECS.get(suffix, ("-c:v", "mpeg4")))


@pytest.mark.parametrize("suffix", CODECS)
def test_a_recording_that_is_not_looked_at_is_named(suffix: str, make_clip, tmp_path: Path):
    first, second = (recording(make_clip, suffix, colour) for colour in ("red", "blue"))
    assert Clip(first, SamplingOptions()).remarks == []
    path = tmp_path / f"-two recordings{suffix}"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    clip = Clip(path, SamplingOptions())
    assert all(frame.image[..., 0].mean() > 150 for frame in clip.frames("0"))
    (remark,) = [each for each in clip.remarks if each.code == "appended"]
    command = re.search(r"tail .*(?= && )", remark.text)[0]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / f"second{suffix}").read_bytes() == second.read_bytes()


def test_fragments_are_no_further_recordings(make_clip):
    graph = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=2")
    how = ("-c:v", "libx264", "-g", "5", "-movflags", "+frag_keyframe+empty_moov")
    assert Clip(make_clip("fragments.mp4", *graph, *how), SamplingOptions()).remarks == []


def test_further_recordings_in_an_avi_are_looked_at(make_clip, tmp_path: Path):
    how = ("-c:v", "mpeg4")
    colours = (
        ("-f", "lavfi", "-i", f"color={each}:size=64x48:rate=10:duration=1") for each in ("red", "blue")
    )
    parts = [make_clip(f"{number}.avi", *each, *how).read_bytes() for number, each in enumerate(colours)]
    path = tmp_path / "two.avi"
    path.write_bytes(b"".join(parts))
    clip = Clip(path, SamplingOptions())
    reds = [frame.image[..., 0].mean() > 150 for frame in clip.frames("0")]
    assert reds == [True, True, False, False] and clip.duration_s == pytest.approx(2.0, abs=0.2)
    assert left_behind(path, "avi") == []


@pytest.mark.parametrize("suffix", CODECS)
def test_a_damaged_file_is_gone_through_to_an_end(suffix: str, make_clip, tmp_path: Path):
    content = recording(make_clip, suffix, "red").read_bytes()
    path = tmp_path / f"damaged{suffix}"
    for place in range(0, min(len(content), 400), 7):
        path.write_bytes(content[:place] + b"\0\0\0\0" + content[place + 4 :])
        assert left_behind(path, suffix[1:]) == []
        path.write_bytes(content[:place])
        assert left_behind(path, suffix[1:]) == []
