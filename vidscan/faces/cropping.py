"""Frame -> FaceCrop: cuts the faces seen in a frame out of it, for every network that wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vidscan.faces.crops import View, still_views, upright_crop
from vidscan.records import FaceCrop, Frame, Geometry, Image, Sighting


def crop_faces(
    frame: Frame,
    seen: Iterable[tuple[Sighting, int]],
    geometries: Sequence[Geometry],
    *,
    still: bool = False,
) -> Iterator[FaceCrop]:
    """Cuts faces out of their frame, once for each geometry that checkpoints' cards give.

    Args:
        frame: the sampled picture.
        seen: the faces found in it, with the numbers of their tracks.
        geometries: how to cut; a crop's ``images`` come in this order.
        still: whether each face is cut out once for each of its views, see
            :func:`vidscan.faces.crops.still_views`.

    Yields:
        The faces in the given order, one crop each, or one for each view, in order.
    """
    for sighting, track in seen:
        views = still_views(sighting.box) if still else (View(sighting.box),)
        for number, view in enumerate(views):
            yield FaceCrop(
                source_id=frame.source_id,
                frame_index=frame.index,
                time_s=frame.time_s,
                box=sighting.box,
                confidence=sighting.confidence,
                images=tuple(_cut(frame.image, view, each, sighting.roll) for each in geometries),
                track=track,
                quality=sighting.quality,
                view=number,
            )


def _cut(image: Image, view: View, geometry: Geometry, roll: float) -> Image:
    """RGB ``uint8[size, size, 3]`` of one view of a face."""
    crop = upright_crop(image, view.box, geometry=geometry, roll=roll)
    return np.ascontiguousarray(crop[:, ::-1]) if view.mirrored else crop
