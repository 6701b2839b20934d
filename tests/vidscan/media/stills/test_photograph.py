"""The pictures and clips that lie behind a still in its file."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer, toy_picture

from vidscan.media import frames as reading
from vidscan.media.scratch import PREFIX
from vidscan.media.sources import from_paths
from vidscan.media.stills import photograph
from vidscan.media.stills.photograph import CLIP_FRAMES, MAX_BEHIND, Photograph
from vidscan.options import BatchingOptions, ScanOptions
from vidscan.records import Frame, Label, Remark, Report
from vidscan.scan.pipeline import scan


def jpeg(picture: np.ndarray | Pillow.Image, **more) -> bytes:
    stream = io.BytesIO()
    (picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)).save(stream, "JPEG", **more)
    return stream.getvalue()


def noise(width: int = 70, height: int = 45) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def look(path: Path) -> tuple[list[Frame], list[str]]:
    still = Photograph(path)
    frames = list(still.frames("7"))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return frames, [remark.text for remark in still.remarks]


def cut_out(said: str, folder: Path) -> bytes:
    """What the command in a remark gives."""
    command, out = re.search(r"tail .* > (picture\d\.\w+)", said).group(0, 1)
    subprocess.run(command, shell=True, cwd=folder, check=True)
    return (folder / out).read_bytes()


@pytest.fixture(scope="module")
def clip(make_clip) -> bytes:
    """One second of a bright clip."""
    source = ("-f", "lavfi", "-i", "color=c=white:size=80x80:rate=10:duration=1")
    return make_clip("behind.mp4", *source, "-c:v", "mpeg4").read_bytes()


@pytest.mark.parametrize("progressive", [False, True])
def test_second_jpeg_is_looked_at(progressive: bool, tmp_path: Path):
    path = tmp_path / "-it's two.jpg"
    first, second = (jpeg(each, progressive=progressive) for each in (toy_picture(90), noise()))
    path.write_bytes(first)
    assert look(path)[1] == []
    path.write_bytes(first + b"\0" * 99 + second)
    frames, (said,) = look(path)
    assert [(frame.stream, frame.image.shape) for frame in frames] == [(0, (80, 80, 3)), (1, (45, 70, 3))]
    assert "was looked at too, as picture 2" in said
    assert cut_out(said, tmp_path) == second


def test_pictures_of_an_mpo_are_looked_at(tmp_path: Path):
    path = tmp_path / "three.mpo"
    others = [Pillow.fromarray(toy_picture(each)) for each in (100, 160)]
    Pillow.fromarray(toy_picture(30)).save(path, "MPO", save_all=True, append_images=others)
    frames, said = look(path)
    assert [round(frame.image.mean(), -1) for frame in frames] == [30, 100, 160]
    assert len(said) == 2


@pytest.mark.parametrize("mark", [b"hdrgm:Version", b"http://ns.apple.com/HDRGainMap/1.0/"])
def test_a_part_of_the_picture_is_no_other(mark: bytes, tmp_path: Path):
    path = tmp_path / "hdr.jpg"
    path.write_bytes(jpeg(noise()) + mark + jpeg(toy_picture(90)))
    assert look(path)[1] == []
    path.write_bytes(path.read_bytes() + jpeg(toy_picture(200)))  # behind the gain map, and none itself
    assert len(look(path)[0]) == 2


def test_a_smaller_copy_is_not_looked_at_and_named(tmp_path: Path):
    large = Pillow.fromarray(noise(32, 24)).resize((320, 240), Pillow.Resampling.BICUBIC)
    path = tmp_path / "preview.jpg"
    path.write_bytes(jpeg(large) + jpeg(large.resize((160, 120))))
    frames, (said,) = look(path)
    assert len(frames) == 1 and "a smaller copy, and was not looked at" in said
    path.write_bytes(jpeg(large) + jpeg(large))  # two of one size, as a stereo camera takes them
    assert len(look(path)[0]) == 2


def test_clip_is_looked_at(clip: bytes, tmp_path: Path):
    path = tmp_path / "motion.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + clip)
    frames, (said,) = look(path)
    assert [frame.stream for frame in frames] == [0] + CLIP_FRAMES * [1]
    times = [frame.time_s for frame in frames[1:]]
    assert times == sorted(times) and times[-1] > 0.5
    assert f"{CLIP_FRAMES} frames were looked at too, as picture 2" in said
    assert cut_out(said, tmp_path) == clip


def test_clip_behind_a_heic_is_looked_at(clip: bytes, tmp_path: Path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / "motion.heic"
    Pillow.fromarray(toy_picture(30)).save(path, "HEIF")
    size = (len(clip) + 8).to_bytes(4, "big")
    path.write_bytes(path.read_bytes() + size + b"mpvd" + clip)
    frames, (said,) = look(path)
    assert len(frames) == 1 + CLIP_FRAMES and "a motion photo" in said


def test_what_was_done_to_the_clip_is_said(make_clip, tmp_path: Path):
    oblong = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1", "-vf", "setsar=2/1")
    path = tmp_path / "motion.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + make_clip("oblong.mp4", *oblong, "-c:v", "mpeg4").read_bytes())
    frames, said = look(path)
    assert frames[1].image.shape == (48, 128, 3)
    assert any(each.startswith("Picture 2: Its pixels are not square") for each in said)


@pytest.mark.parametrize("kind", ["picture", "clip"])
def test_what_is_damaged_behind_a_picture_costs_a_remark_alone(kind: str, clip: bytes, tmp_path: Path):
    path = tmp_path / "damaged.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + (jpeg(noise())[:300] if kind == "picture" else clip[:60]))
    frames, (said,) = look(path)
    assert len(frames) == 1
    assert "could not be read to its end" in said and "tail -c" in said and str(tmp_path) not in said


def test_of_very_many_pictures_the_first_are_looked_at(tmp_path: Path):
    path = tmp_path / "many.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + (MAX_BEHIND + 3) * jpeg(noise()))
    frames, said = look(path)
    assert len(frames) == 1 + MAX_BEHIND
    assert f"first {MAX_BEHIND} were looked at alone" in said[-1]


def test_a_picture_of_too_many_pixels_behind_another_reaches_no_decoder(tmp_path: Path, monkeypatch):
    path = tmp_path / "bomb.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + jpeg(noise(300, 200)))
    monkeypatch.setattr(reading, "MAX_STILL_PIXELS", 200 * 300 - 1)
    frames, (said,) = look(path)
    assert len(frames) == 1 and "300x200 pixels" in said


def test_nothing_is_left_where_reading_stops_early(clip: bytes, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(photograph.tempfile, "tempdir", str(tmp_path))
    path = tmp_path / "motion.jpg"
    path.write_bytes(jpeg(toy_picture(30)) + clip)
    frames = Photograph(path).frames("7")
    next(frames), next(frames)
    assert list(tmp_path.glob(f"{PREFIX}*"))
    frames.close()
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def scanned(path: Path) -> Report:
    options = ScanOptions(batching=BatchingOptions(4))
    (report,) = scan(from_paths([path]), options, scorers=[ToyScorer()], detector=ToyDetector())
    return report


def test_a_forgery_behind_a_picture_is_found(clip: bytes, tmp_path: Path):
    plain, two, motion = (tmp_path / f"{name}.jpg" for name in ("plain", "two", "motion"))
    first = jpeg(toy_picture(70))
    plain.write_bytes(first)
    two.write_bytes(first + jpeg(toy_picture(250, 90)))
    motion.write_bytes(first + clip)
    assert scanned(plain).verdict.label == Label.REAL
    report = scanned(two)
    assert report.verdict.label == Label.FAKE and "Face 2 (of 2)" in report.verdict.reason
    assert [(track.id, track.stream) for track in report.tracks] == [(1, 0), (2, 1)]
    report = scanned(motion)
    faces = [face.track for point in report.timeline for face in point.faces]
    assert faces == [1, *(CLIP_FRAMES * [2])]
    assert report.tracks[1].faces == CLIP_FRAMES and report.stats.cuts_s == ()
    assert report.stats.crops_scored == 4 * len(faces)


def test_pages_are_said_and_not_looked_at(tmp_path: Path):
    path = tmp_path / "pages.tiff"
    Pillow.fromarray(noise()).save(path, save_all=True, append_images=[Pillow.fromarray(noise()[::-1])])
    frames, said = look(path)
    assert (len(frames), said) == (1, ["Only the first of the pictures in this TIFF was looked at."])
    assert Photograph(path).remarks == []
    assert scanned(path).remarks == (Remark("further-pictures", said[0]),)
