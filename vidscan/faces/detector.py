"""Finds faces in one picture with MediaPipe, which only this module imports, when a detector starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib import resources
from typing import Any, Self

import numpy as np

from vidscan.errors import DetectionError
from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union, merge_detections
from vidscan.faces.crops import resize, square_crop
from vidscan.faces.rotation import roll_of, turned
from vidscan.options import DetectionOptions
from vidscan.records import Box, Detection, Image
from vidscan.system.frameworks import drop_noise, import_mediapipe

SHORT_RANGE_ONLY_CONFIDENCE = 0.7
"""Minimum confidence of the short-range network for a face that the full-range one does not see.

On its own the network takes ears, hands and background for faces at 0.5 to 0.6 on ordinary interview footage.
"""

DOUBTFUL_CONFIDENCE = 0.75
"""A detection below this confidence gets a second look, close up, and is dropped unless that confirms it.

On interview footage fewer than 1 in 100 faces are this doubtful; rocket engines, galaxies and coffee
cups, which the full-range network calls faces at 0.5 to 0.7, all are.
"""

SECOND_LOOK_MARGIN = 2.0
SECOND_LOOK_SIZE = 256
SECOND_LOOK_CONFIDENCE = 0.65
"""Margin, side in pixels and minimum confidence of the second look: in a close-up of the face, the
short-range network must find one of about the same place and size. False faces of the kinds above reach 0.63
there."""

MAX_SIDE = 16_384
"""Upper limit on the side in pixels of pictures for MediaPipe, which looks at 192 of them anyway. From 32,767
on (an assertion of the OpenCV in it) it aborts the whole process."""


class MediaPipeFaceDetector:
    """BlazeFace in its two forms: full-range (192 px input) and short-range (128 px input).

    The full-range network finds faces across a room and the short-range one a face that fills the picture;
    each misses some of what the other finds, so both look at every picture (about 6 ms together on one core).
    Use as a context manager: a detector left to the garbage collector prints a traceback when the interpreter
    exits. Raises DetectionError where MediaPipe or its model files cannot be loaded, or fail on a picture.
    """

    def __init__(self, options: DetectionOptions) -> None:
        self._options = options
        self._closed = False
        self._stack = ExitStack()
        try:
            self._full_range = self._open("face_detection_full_range_sparse.tflite")
            self._short_range = self._open("face_detection_short_range.tflite")
        except BaseException:
            self._stack.close()
            raise

    def _open(self, asset: str) -> Any:
        try:
            tasks = import_mediapipe()
            # Bytes rather than a path: the package may be read from a zip, and MediaPipe's own path
            # handling stumbles over names that are no ASCII.
            model = (resources.files("vidscan") / "assets" / asset).read_bytes()
            options = tasks.vision.FaceDetectorOptions(
                base_options=tasks.BaseOptions(model_asset_buffer=model),
                min_detection_confidence=self._options.min_confidence,
            )
            with drop_noise():
                task = tasks.vision.FaceDetector.create_from_options(options)
                # It starts, and prints, with the first picture.
                task.detect(_picture(np.zeros((64, 64, 3), np.uint8)))
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            raise DetectionError(
                f"the face detector cannot start ({asset}: {error}): reinstall vidscan; on a minimal Linux "
                "also install libgl1, libegl1 and libgles2"
            ) from error
        self._stack.callback(task.close)
        return task

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends MediaPipe's threads. The detector cannot be used afterwards."""
        self._closed = True
        self._stack.close()

    def detect(self, image: Image) -> list[Detection]:
        """Returns all faces in an RGB ``uint8[height, width, 3]`` picture, most confident first."""
        found = self._reduced(image, self._search)
        return [each for each in found if each.box.longer_side >= self._options.min_face]

    def far(self, image: Image) -> list[Detection]:
        """Returns what the full-range network detects, unchecked and of any size, most confident first.

        It sees 192 by 192 pixels and takes about 5 ms, whatever the picture's size. Of faces (portraits of
        FFHQ, pasted) it finds 9 in 10 whose longer side is a ninth of the picture's, and 3 in 4 of a twelfth.
        """
        return self._reduced(image, lambda picture: self._detect_with(self._full_range, picture))

    def near(self, image: Image) -> list[Detection]:
        """Returns what the short-range network detects, unchecked and of any size, most confident first.

        It sees 128 by 128 pixels, takes about 1.7 ms, and finds faces from a fifth of the picture's side on.
        """
        return self._reduced(image, lambda picture: self._detect_with(self._short_range, picture))

    def _reduced(self, image: Image, search: Callable[[Image], list[Detection]]) -> list[Detection]:
        """Runs ``search`` on a picture reduced to ``MAX_SIDE``; returns boxes in pixels of ``image``."""
        if self._closed:  # MediaPipe itself would say that there is no face
            raise DetectionError("the face detector was closed: start another")
        height, width = image.shape[:2]
        factor = max(height, width, MAX_SIDE) / MAX_SIDE
        searched = resize(image, width=max(1, int(width / factor)), height=max(1, int(height / factor)))
        return [_enlarged(each, width, height, searched) for each in search(searched)]

    def _detect_with(self, network: Any, image: Image) -> list[Detection]:
        height, width = image.shape[:2]
        try:
            return _by_confidence(_detections(network.detect(_picture(image)), width, height))
        except (RuntimeError, ValueError) as error:
            raise DetectionError(f"face detection failed on a {width}x{height} picture: {error}") from error

    def _search(self, image: Image) -> list[Detection]:
        near = self._detect_with(self._short_range, image)
        sure = [each for each in near if each.confidence >= SHORT_RANGE_ONLY_CONFIDENCE]
        merged = merge_detections([*self._detect_with(self._full_range, image), *sure])
        return _by_confidence(
            each
            for each in merged
            if each.confidence >= DOUBTFUL_CONFIDENCE or shows_face(self.near, image, each.box)
        )


def shows_face(
    near: Callable[[Image], Sequence[Detection]], image: Image, box: Box, quarters: int = 0
) -> bool:
    """Tells whether the short-range network ``near`` sees a face at ``box`` in a close-up: the second look.

    ``image`` is RGB ``uint8[height, width, 3]``; ``box`` touches it. The close-up is turned anticlockwise by
    ``quarters``, 0 to 3, for the face to be upright.
    """
    close_up = square_crop(image, box, margin=SECOND_LOOK_MARGIN, size=SECOND_LOOK_SIZE)
    expected_side = SECOND_LOOK_SIZE / SECOND_LOOK_MARGIN
    start = (SECOND_LOOK_SIZE - expected_side) / 2
    expected = Box(start, start, expected_side, expected_side)
    return any(
        seen.confidence >= SECOND_LOOK_CONFIDENCE
        and intersection_over_union(seen.box, expected) > SAME_FACE_OVERLAP
        for seen in near(turned(close_up, quarters))
    )


def _picture(image: Image) -> Any:
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))


def _by_confidence(detections: Iterable[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda detection: -detection.confidence)


def _enlarged(detection: Detection, width: int, height: int, searched: Image) -> Detection:
    """Maps a detection in the reduced picture ``searched`` back to the whole one."""
    if searched.shape[:2] == (height, width):
        return detection
    x, y = width / searched.shape[1], height / searched.shape[0]
    box = detection.box
    return Detection(
        Box(box.x * x, box.y * y, box.w * x, box.h * y),
        detection.confidence,
        detection.keypoints * np.array([x, y], np.float32),
        detection.roll,
    )


def _detections(result: Any, width: int, height: int) -> list[Detection]:
    """Converts MediaPipe's result; boxes that do not touch the picture are dropped."""
    found = []
    for detection in result.detections:
        rectangle = detection.bounding_box
        box = Box(
            float(rectangle.origin_x),
            float(rectangle.origin_y),
            float(rectangle.width),
            float(rectangle.height),
        )
        touches = box.x < width and box.y < height and box.x + box.w > 0 and box.y + box.h > 0
        if not touches or box.w < 1 or box.h < 1:
            continue
        keypoints = np.array(
            [(point.x * width, point.y * height) for point in detection.keypoints or ()], np.float32
        ).reshape(-1, 2)
        found.append(Detection(box, float(detection.categories[0].score), keypoints, roll_of(keypoints)))
    return found
