"""Frame -> FaceCrop: cuts the faces seen in a frame out of it, for every network that wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vidscan.image import upright_crop
from vidscan.records import FaceCrop, Frame, Geometry, Sighting


def crop_faces(
    frame: Frame, seen: Iterable[tuple[Sighting, int]], geometries: Sequence[Geometry]
) -> Iterator[FaceCrop]:
    """Cuts faces out of their frame, once for each geometry that checkpoints' cards give.

    Args:
        frame: the sampled picture.
        seen: the faces found in it, with the numbers of their tracks.
        geometries: how to cut; a crop's ``images`` come in this order.

    Yields:
        One crop a face, in the given order.
    """
    for sighting, track in seen:
        yield FaceCrop(
            source_id=frame.source_id,
            frame_index=frame.index,
            time_s=frame.time_s,
            box=sighting.box,
            confidence=sighting.confidence,
            images=tuple(
                upright_crop(frame.image, sighting.box, geometry=each, roll=sighting.roll)
                for each in geometries
            ),
            track=track,
            quality=sighting.quality,
        )
