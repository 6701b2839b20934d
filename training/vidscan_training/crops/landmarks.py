"""Where the face lies inside a crop: MediaPipe's face mesh, run straight from its TFLite file.

The network (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs",
2019; Apache-2.0) expects a square that holds one face with some room around it, which is what the
crops of training already are, so no detector and no MediaPipe graph is needed. TensorFlow is imported
when a landmarker is opened, not before.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

import vidscan
from vidscan.records import Image
from vidscan.system.frameworks import import_tensorflow

Landmarks = npt.NDArray[np.float32]
"""``float32[468, 2]``: x and y in pixels of the crop, in the order of MediaPipe's face mesh."""

LANDMARK_COUNT = 468
MESH_SIDE = 192
MESH_FILE = Path(vidscan.__file__).parent / "assets" / "face_landmark.tflite"

_MIN_PRESENCE = 0.5
"""Probability that a crop holds a face, below which there is no answer."""

MIN_SIDE = 16
"""Side in pixels below which a crop is refused: no face can be seen in it."""


def check_crop(image: Image) -> int:
    """Returns the side of a crop; raises ValueError unless it is RGB ``uint8[n, n, 3]``, n >= 16."""
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[0] != image.shape[1]:
        raise ValueError(f"a crop must be a square RGB picture [n, n, 3], not {list(image.shape)}")
    if image.dtype != np.uint8:
        raise ValueError(f"a crop must be uint8 (0-255), not {image.dtype}")
    if image.shape[0] < MIN_SIDE:
        raise ValueError(f"a crop must be at least {MIN_SIDE} px wide, not {image.shape[0]}")
    return int(image.shape[0])


class FaceLandmarker:
    """Finds the 468 points of the face mesh in square face crops; use it as a context manager."""

    def __init__(self, model: Path = MESH_FILE) -> None:
        self._model = model
        self._interpreter: Any = None
        self._input = self._mesh = self._presence = -1

    def __enter__(self) -> Self:
        """Loads the network; raises FileNotFoundError where its file is missing."""
        if not self._model.is_file():
            raise FileNotFoundError(f"the face mesh {self._model} is missing: reinstall vidscan")
        tf = import_tensorflow()

        with warnings.catch_warnings():
            # TensorFlow is pinned below 2.20, which drops this interpreter: the warning is no news.
            warnings.filterwarnings(
                "ignore", message=".*tf.lite.Interpreter is deprecated", category=UserWarning
            )
            self._interpreter = tf.lite.Interpreter(model_path=str(self._model), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        # The outputs differ in size: 468 points of (x, y, z) and one logit.
        for output in self._interpreter.get_output_details():
            if int(np.prod(output["shape"])) == 3 * LANDMARK_COUNT:
                self._mesh = output["index"]
            else:
                self._presence = output["index"]
        return self

    def __exit__(self, *raised: object) -> None:
        """Lets the network go."""
        self._interpreter = None

    def locate(self, image: Image) -> Landmarks | None:
        """The mesh of the face in the middle of a crop, ``float32[468, 2]``; None where no face is seen.

        ``image``: RGB ``uint8[n, n, 3]``, 0-255; about 1.4 times the detector's box, not aligned. Pixel
        centres are at whole numbers; points may lie a little outside of a crop that cuts the face. Raises
        ValueError where ``image`` is no such picture, RuntimeError where the landmarker is not open.
        """
        side = check_crop(image)
        if self._interpreter is None:
            raise RuntimeError("the landmarker is closed: use it inside a with statement")
        kernel = cv2.INTER_AREA if side > MESH_SIDE else cv2.INTER_LINEAR
        small = cv2.resize(image, (MESH_SIDE, MESH_SIDE), interpolation=kernel)
        self._interpreter.set_tensor(self._input, small[None].astype(np.float32) / np.float32(255))
        self._interpreter.invoke()
        logit = float(self._interpreter.get_tensor(self._presence).reshape(-1)[0])
        if 1.0 / (1.0 + np.exp(-logit)) < _MIN_PRESENCE:
            return None
        mesh = self._interpreter.get_tensor(self._mesh).reshape(LANDMARK_COUNT, 3)[:, :2]
        # Resizing maps the edges of the picture onto each other, so centres shift by half a pixel.
        return np.asarray((mesh + 0.5) * (side / MESH_SIDE) - 0.5, dtype=np.float32)
