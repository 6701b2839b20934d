"""Makes every clip and still in this folder again: ``python -m samples.make_samples``.

The pictures come from scikit-image's wheel (an astronaut's portrait, a cup of coffee; both free of
rights, see README.md), the movement from a virtual camera that glides over them, and the one manipulated
face from :mod:`vidscan_training.data.self_blend`: a *self-blended* image, after Shiohara and Yamasaki,
"Detecting
Deepfakes with Self-Blended Images", CVPR 2022. Every random number has a fixed seed, and x264 runs in one
thread, so that a second run on the same machine with the same packages writes the same bytes.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from skimage import data

from vidscan.models.landmarks import FaceLandmarker
from vidscan_training.data.self_blend import blend, deform, hull_mask, region_points, soften

Image = NDArray[np.uint8]

FOLDER = Path(__file__).resolve().parent
FPS = 25
WIDTH, HEIGHT = 640, 360
NOISE = 2.0
"""Standard deviation of the sensor noise, in levels of 255: without it every frame would be one still."""

BLENDED_FROM_S, BLENDED_UNTIL_S = 2.0, 5.0
"""When the face in self-blended.mp4 is a manipulated one; before and after it is the photo's own."""


@dataclass(frozen=True)
class View:
    """What the virtual camera sees: a window ``width`` photo pixels wide around ``(x, y)``, rolled."""

    x: float
    y: float
    width: float
    roll_deg: float = 0.0

    def matrix(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Affine map, shape [2, 3], from photo pixels to a picture of ``size`` (width, height)."""
        scale = size[0] / self.width
        matrix = cv2.getRotationMatrix2D((self.x, self.y), self.roll_deg, scale)
        matrix[:, 2] += (size[0] / 2 - self.x, size[1] / 2 - self.y)
        return matrix


FACE = View(x=224, y=121, width=150)
"""The astronaut's face with room around it, as the landmark network wants it."""
FACE_SIZE = (384, 384)


def swing(time_s: float, period_s: float, phase: float = 0.0) -> float:
    """A smooth motion between -1 and 1; ``phase`` is a share of the period."""
    return math.sin(2 * math.pi * (time_s / period_s + phase))


def portrait_view(time_s: float) -> View:
    """Closes in on the astronaut's face and drifts, as a camera held by hand does."""
    closing = 0.5 - 0.5 * math.cos(math.pi * min(time_s / 6, 1))
    return View(
        x=228 - 8 * closing + 9 * swing(time_s, 4.3),
        y=119 - 14 * closing + 4 * swing(time_s, 3.1, 0.2),
        width=400 - 90 * closing,
        roll_deg=1.4 * swing(time_s, 5.2, 0.1),
    )


def coffee_view(time_s: float) -> View:
    """Pans along the rim of the cup.

    The whole cup with its saucer is round and has highlights in the wrong places: detectors that look
    for a face see one there now and then. In this part of the picture none is sure of one.
    """
    return View(
        x=250 + 85 * swing(time_s, 8.0, -0.25),
        y=112 + 8 * swing(time_s, 5.0),
        width=275 + 12 * swing(time_s, 8.0),
        roll_deg=1.2 * swing(time_s, 4.0),
    )


def left_view(time_s: float) -> View:
    """The left of two people: moves on a clock of its own, so that the two can be told apart."""
    return View(
        x=219 + 7 * swing(time_s, 3.7),
        y=131 + 4 * swing(time_s, 2.9, 0.3),
        width=232 + 8 * swing(time_s, 5.0),
        roll_deg=1.8 * swing(time_s, 4.1),
    )


def right_view(time_s: float) -> View:
    """The right of two people, over the mirrored photo (x counts from its own left edge)."""
    return View(
        x=512 - 228 + 6 * swing(time_s, 3.1, 0.4),
        y=136 + 5 * swing(time_s, 3.4, 0.7),
        width=262 + 8 * swing(time_s, 4.4, 0.5),
        roll_deg=2.2 * swing(time_s, 3.3, 0.25),
    )


def shoot(photo: Image, view: View, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image:
    """The photo, RGB uint8 HWC, through the camera: RGB uint8 of ``size`` (width, height)."""
    return cv2.warpAffine(
        photo, view.matrix(size), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def with_noise(frame: Image, rng: np.random.Generator) -> Image:
    """Adds sensor noise: mostly brightness, as video shows it."""
    grain = rng.normal(0, NOISE, (*frame.shape[:2], 1)) + rng.normal(0, NOISE / 3, frame.shape)
    return np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)


def other_light(photo: Image) -> Image:
    """Mirrored, under a warmer and dimmer lamp that stands to one side: the second of two people."""
    mirrored = photo[:, ::-1].astype(np.float64) / 255
    lamp = np.linspace(0.72, 1.02, photo.shape[1])[None, :, None]
    tint = np.array([1.03, 0.97, 0.86])
    return np.clip(np.rint(255 * np.power(mirrored, 1.08) * lamp * tint), 0, 255).astype(np.uint8)


def face_mask(photo: Image) -> NDArray[np.float32]:
    """Where the pasted face will cover the astronaut's: float32, 0 to 1, in the picture of ``FACE``.

    Deformed and softened at random (with a fixed seed) as the training's self-blended faces are.
    """
    landmarks = FaceLandmarker().locate(shoot(photo, FACE, FACE_SIZE))
    if landmarks is None:
        raise RuntimeError("no face found where the astronaut's should be")
    rng = np.random.default_rng(2)
    hull = hull_mask(region_points(landmarks, "no_forehead"), FACE_SIZE[0])
    return soften(deform(hull, rng, strength=0.06), rng)


def restyled(frame: Image) -> Image:
    """The frame as another camera would have seen it: cooler, paler, of lower resolution, sharpened."""
    small = cv2.resize(frame, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, frame.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    sharp = cv2.addWeighted(coarse, 1.8, cv2.GaussianBlur(coarse, (0, 0), 3), -0.8, 0).astype(np.float64)
    grey = sharp.mean(axis=2, keepdims=True)
    cooler = grey + 0.75 * (sharp - grey) + np.array([-4, -6, 6])
    return np.clip(np.rint(cooler), 0, 255).astype(np.uint8)


def self_blended(frame: Image, view: View, mask: NDArray[np.float32], time_s: float = 0.0) -> Image:
    """Replaces the face by a restyled copy of itself that sits a little off, as a swapped face does.

    Args:
        frame: what the camera saw through ``view``, RGB uint8 HWC.
        view: maps photo pixels to the frame.
        mask: from :func:`face_mask`.
        time_s: lets the copy slide about by a share of a pixel, as one placed anew in every frame.

    Returns:
        The manipulated frame; outside of the mask it equals ``frame``.
    """
    size = frame.shape[1], frame.shape[0]
    to_frame = view.matrix(size)
    centre = to_frame @ (FACE.x, FACE.y, 1)
    face_width = FACE.width * size[0] / view.width
    off = cv2.getRotationMatrix2D(tuple(centre), 1.0 + 0.5 * swing(time_s, 1.3), 1.04)
    slide = (swing(time_s, 1.1), swing(time_s, 0.9, 0.3))
    off[:, 2] += face_width * (np.array([0.012, -0.015]) + 0.002 * np.array(slide))
    source = cv2.warpAffine(restyled(frame), off, size, borderMode=cv2.BORDER_REFLECT_101)
    crop_to_frame = np.vstack([off, (0, 0, 1)]) @ np.vstack([to_frame, (0, 0, 1)])
    crop_to_frame = crop_to_frame @ np.linalg.inv(np.vstack([FACE.matrix(FACE_SIZE), (0, 0, 1)]))
    return blend(source, frame, cv2.warpAffine(mask, crop_to_frame[:2], size))


def times(seconds: float) -> Iterator[float]:
    """Clock times of the frames of a clip that lasts ``seconds``."""
    return (index / FPS for index in range(round(seconds * FPS)))


def moving(photo: Image, path: Callable[[float], View], seconds: float, seed: int) -> Iterator[Image]:
    """Frames of a clip: the camera on its path over one photo."""
    rng = np.random.default_rng(seed)
    for time_s in times(seconds):
        yield with_noise(shoot(photo, path(time_s)), rng)


def partly_blended(photo: Image, seconds: float, seed: int) -> Iterator[Image]:
    """Frames of the portrait's camera move, self-blended between the two set times.

    With the seed of the untouched clip the two differ in nothing but the face.
    """
    mask = face_mask(photo)
    frames = moving(photo, portrait_view, seconds, seed)
    for time_s, frame in zip(times(seconds), frames, strict=True):
        if BLENDED_FROM_S <= time_s < BLENDED_UNTIL_S:
            yield self_blended(frame, portrait_view(time_s), mask, time_s)
        else:
            yield frame


def two_faces(photo: Image, seconds: float, seed: int) -> Iterator[Image]:
    """Frames with two people side by side, each half filmed by a camera of its own.

    The halves overlap and fade into each other over the grey backdrop, where the seam hardly shows.
    """
    rng = np.random.default_rng(seed)
    half, overlap = (WIDTH // 2 + 40, HEIGHT), 80
    fade = np.zeros((1, WIDTH, 1))
    ramp = np.linspace(0, 1, overlap)
    fade[0, :, 0] = np.pad(3 * ramp**2 - 2 * ramp**3, (half[0] - overlap, half[0] - overlap), mode="edge")
    second = other_light(photo)
    for time_s in times(seconds):
        left = shoot(photo, left_view(time_s), half)
        right = shoot(second, right_view(time_s), half)
        room = ((0, 0), (0, WIDTH - half[0]), (0, 0))
        wide_left, wide_right = np.pad(left, room), np.pad(right, (room[0], room[1][::-1], room[2]))
        frame = (1 - fade) * wide_left + fade * wide_right
        yield with_noise(np.rint(frame).astype(np.uint8), rng)


def write_clip(path: Path, frames: Iterator[Image]) -> None:
    """Encodes RGB frames as H.264 in MP4, without metadata or the encoder's version and settings."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-"]
    # Said and done alike in BT.709: ffmpeg would convert by BT.601 and leave players to guess.
    command += [
        "-vf",
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
        "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709",
    ]
    command += ["-c:v", "libx264", "-preset", "slow", "-crf", "20", "-threads", "1"]
    # The x264 banner is a message of type 6 in the stream, which "bitexact" alone leaves in.
    command += ["-bsf:v", "filter_units=remove_types=6"]
    command += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    command += ["-movflags", "+faststart", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for frame in frames:
            encoder.stdin.write(frame.tobytes())
        encoder.stdin.close()
        if encoder.wait():
            raise RuntimeError(f"ffmpeg could not write {path.name} (exit code {encoder.returncode})")


def write_still(path: Path, picture: Image) -> None:
    """Writes RGB as JPEG, quality 92."""
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92]):
        raise RuntimeError(f"could not write {path}")


def main(folder: Path = FOLDER) -> None:
    """Writes all files into ``folder``."""
    astronaut, coffee = data.astronaut(), data.coffee()
    write_clip(folder / "camera-move.mp4", moving(astronaut, portrait_view, 6, seed=1))
    write_clip(folder / "self-blended.mp4", partly_blended(astronaut, 6, seed=1))
    write_clip(folder / "two-faces.mp4", two_faces(astronaut, 4, seed=3))
    write_clip(folder / "no-face.mp4", moving(coffee, coffee_view, 4, seed=4))
    write_still(folder / "astronaut.jpg", astronaut)
    whole = View(x=256, y=256, width=512)
    write_still(folder / "astronaut-self-blended.jpg", self_blended(astronaut, whole, face_mask(astronaut)))
    write_still(folder / "no-face.jpg", shoot(coffee, coffee_view(0)))
    for path in sorted(folder.glob("*.mp4")) + sorted(folder.glob("*.jpg")):
        print(f"{path.stat().st_size:>9,}  {path.name}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
