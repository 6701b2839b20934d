"""Where the face lies inside a crop: MediaPipe's face mesh, as an ONNX file.

The network (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs",
2019; Apache-2.0; see ``assets/README.md``) expects a square that holds one face with some room around it, so
no detector and no graph of MediaPipe is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import cv2
import numpy as np

from vidscan.errors import DetectionError
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.records import LANDMARK_COUNT, Geometry, Image, Landmarks

ASSET = "face_landmark.onnx"
MESH_SIDE = 192

MIN_PRESENCE = 0.5
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
    """Finds the 468 points of the face mesh in square face crops, in about 4 ms each."""

    def __init__(self) -> None:
        """Loads the network; raises DetectionError where its file is missing or onnxruntime refuses it."""
        try:
            content = (resources.files("vidscan") / "assets" / ASSET).read_bytes()
            self._mesh = OnnxRuntime(content)
        except (OSError, RuntimeUnavailableError) as error:
            raise DetectionError(
                f"the face mesh cannot start ({ASSET}: {error}): reinstall vidscan"
            ) from error

    def locate(self, image: Image) -> Landmarks | None:
        """The mesh of the face in the middle of a crop, ``float32[468, 2]``; None where no face is seen.

        ``image``: RGB ``uint8[n, n, 3]``, 0-255; about 1.4 times the detector's box, not aligned. Pixel
        centres are at whole numbers; points may lie a little outside of a crop that cuts the face. Raises
        ValueError where ``image`` is no such picture.
        """
        side = check_crop(image)
        kernel = cv2.INTER_AREA if side > MESH_SIDE else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(image, (MESH_SIDE, MESH_SIDE), interpolation=kernel), np.uint8)
        (found,) = self._mesh.outputs(small[None])
        if 1.0 / (1.0 + np.exp(-float(found[-1]))) < MIN_PRESENCE:
            return None
        mesh = found[:-1].reshape(LANDMARK_COUNT, 2)
        # Resizing maps the edges of the picture onto each other, so centres shift by half a pixel.
        return np.asarray((mesh + 0.5) * (side / MESH_SIDE) - 0.5, dtype=np.float32)


def landmarker_for(geometries: Iterable[Geometry]) -> FaceLandmarker | None:
    """A landmarker where one of the geometries asks for mouths."""
    return FaceLandmarker() if any(each.region == "mouth" for each in geometries) else None
