"""The samples and the bundled networks are what their READMEs say they are."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
ASSETS = ROOT / "vidscan" / "assets"
DETECTORS = ("face_detection_short_range", "face_detection_full_range_sparse")
KEEP_EVERY = 10


@dataclass(frozen=True)
class Listed:
    name: str
    size: tuple[int, int]
    frames: int
    faces: int


def listed() -> list[Listed]:
    """The rows of the README's table of files."""
    row = re.compile(r"^\| `([^`]+)` \|[^|]+\| (\d+)x(\d+) \| (\d+) \| (\d+) \|", re.MULTILINE)
    rows = row.findall((SAMPLES / "README.md").read_text(encoding="utf-8"))
    return [Listed(name, (int(w), int(h)), int(frames), int(faces)) for name, w, h, frames, faces in rows]


def named(name: str) -> Listed:
    return next(sample for sample in listed() if sample.name == name)


@functools.cache
def decode(name: str) -> tuple[int, list[np.ndarray]]:
    """The number of frames, and every tenth of them as RGB uint8 HWC."""
    width, height = named(name).size
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(SAMPLES / name)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    count, kept = 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while frame := process.stdout.read(3 * width * height):
            assert len(frame) == 3 * width * height, "the pictures have another size"
            if count % KEEP_EVERY == 0:
                kept.append(np.frombuffer(frame, np.uint8).reshape(height, width, 3))
            count += 1
    assert process.returncode == 0
    return count, kept


@pytest.fixture(scope="module", params=DETECTORS)
def count_faces(request: pytest.FixtureRequest):
    """Counts faces as sure as vidscan asks for by default; closed, or its destructor complains."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(ASSETS / f"{request.param}.tflite")),
        min_detection_confidence=0.5,
    )
    with vision.FaceDetector.create_from_options(options) as detector:

        def count(picture: np.ndarray) -> int:
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
            return len(detector.detect(image).detections)

        yield count


@pytest.fixture(scope="module")
def script():
    """``samples/make_samples.py`` as a module: the folder is no package and is not installed."""
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_readme_lists_every_file_and_no_other():
    media = {path.name for path in SAMPLES.iterdir() if path.suffix in {".mp4", ".jpg"}}
    assert len(media) == 7
    assert {sample.name for sample in listed()} == media


def test_samples_stay_small():
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) <= 2_000_000


@pytest.mark.parametrize("sample", listed(), ids=lambda sample: sample.name)
def test_decodes_in_full(sample: Listed):
    count, kept = decode(sample.name)
    assert abs(count - sample.frames) <= 1
    # A picture of one colour would decode as well.
    assert all(frame.std() > 20 for frame in kept)


@pytest.mark.slow
@pytest.mark.parametrize("sample", listed(), ids=lambda sample: sample.name)
def test_detectors_find_the_faces(sample: Listed, count_faces):
    _, kept = decode(sample.name)
    assert [count_faces(frame) for frame in kept] == [sample.faces] * len(kept)


@pytest.mark.parametrize("sample", listed(), ids=lambda sample: sample.name)
def test_tells_nothing_of_its_making(sample: Listed):
    content = (SAMPLES / sample.name).read_bytes()
    # Encoder banner with settings, ffmpeg's version, EXIF.
    assert not re.search(rb"x264 - core|Lavf\d|Lavc\d|Exif\0", content)


def test_face_is_manipulated_only_in_the_middle():
    _, real = decode("camera-move.mp4")
    _, blended = decode("self-blended.mp4")
    face = np.s_[150:270, 250:390]  # lies inside of the face in all frames
    change = np.array([cv2.absdiff(a[face], b[face]).mean() for a, b in zip(real, blended, strict=True)])
    times = np.arange(len(change)) * KEEP_EVERY / 25
    middle = (times >= 2) & (times < 5)
    # What compression alone changes, with a clear gap to what the blending does.
    assert change[~middle].max() < 3
    assert change[middle].min() > 10


@pytest.mark.slow
def test_manipulation_stays_on_the_face(script):
    photo = script.data.astronaut()
    whole = script.View(x=256, y=256, width=512)
    changed = cv2.absdiff(photo, script.self_blended(photo, whole, script.face_mask(photo))).max(axis=2)
    rows, columns = np.nonzero(changed)
    # The hair, the ears and the collar are outside.
    assert rows.min() >= 70 and rows.max() <= 190
    assert columns.min() >= 175 and columns.max() <= 280
    assert changed[140, 226] > 5  # beside the nose


def test_files_are_what_the_script_makes(script):
    """Small differences aside, which other versions of codec and OpenCV would make."""
    rng = np.random.default_rng(1)
    first = next(script.moving(script.data.astronaut(), script.portrait_view, 6, seed=1))
    pairs = [
        (first, decode("camera-move.mp4")[1][0]),
        (next(script.two_faces(script.data.astronaut(), 4, seed=3)), decode("two-faces.mp4")[1][0]),
        (next(script.moving(script.data.coffee(), script.coffee_view, 4, 4)), decode("no-face.mp4")[1][0]),
        (script.data.astronaut(), decode("astronaut.jpg")[1][0]),
    ]
    assert max(cv2.absdiff(made, stored).mean() for made, stored in pairs) < 3
    assert np.array_equal(
        script.with_noise(script.shoot(script.data.astronaut(), script.portrait_view(0)), rng), first
    )


def test_clip_can_be_written_anew(script, tmp_path: Path):
    path = tmp_path / "clip.mp4"
    frames = list(script.moving(script.data.coffee(), script.coffee_view, 0.2, seed=4))
    script.write_clip(path, iter(frames))
    once = path.read_bytes()
    script.write_clip(path, iter(frames))
    assert len(frames) == 5
    assert path.read_bytes() == once


def test_networks_match_their_hashes():
    text = (ASSETS / "README.md").read_text(encoding="utf-8")
    hashes = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE))
    hashes = {name: digest for digest, name in hashes.items()}
    assert set(hashes) == {path.name for path in ASSETS.iterdir() if path.suffix != ".md"}
    for name, digest in hashes.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name
