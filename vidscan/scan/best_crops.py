"""Keeps faces worth looking at while their scores pass by, in a memory that does not grow with the clip.

Faces bear the number of their track when they come, so that each track's most and least suspicious crops
are known without reading anything twice. Crops of one second look alike: each second offers its best one
only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vidscan.options import EvidenceOptions
from vidscan.records import CropBatch, EvidenceCrop, FaceScore, Image, Track
from vidscan.report.summary import suspicion

SPARE_TRACKS = 2
"""Tracks followed for each one that is shown: which of them matter is known only at the end."""

APART_S = 1.0
"""Seconds of a clip of which at most one crop is shown among a track's highest, and one among its lowest."""


class Gallery:
    """The crops kept of every source that is still being scored, those of one geometry."""

    def __init__(self, options: EvidenceOptions, place: int = 0) -> None:
        """``place``: where among a batch's ``images`` those of that geometry stand."""
        self._options = options
        self._place = place
        self._walls: dict[str, _Wall] = {}

    def add(self, batch: CropBatch, faces: Sequence[FaceScore]) -> None:
        """Looks at the faces of a batch, in order; of a still's views, at the first alone.

        Args:
            batch: its filled rows come first.
            faces: the scores of those rows; one without any is passed over.
        """
        if self._options.kept:
            rows = zip(faces, batch.images[self._place], batch.view, strict=False)
            for face, image in ((face, image) for face, image, view in rows if view == 0):
                self._walls.setdefault(face.source_id, _Wall(self._options)).add(face, image)

    def take(self, source_id: str, tracks: Sequence[Track]) -> tuple[EvidenceCrop, ...]:
        """What was kept of a source, which is then forgotten.

        Args:
            source_id: a source whose last face was added.
            tracks: all of its tracks.

        Returns:
            Crops by track number; within a track by falling score.
        """
        wall = self._walls.pop(source_id, None)
        return wall.chosen(tracks) if wall is not None else ()


@dataclass(slots=True)
class _Pool:
    """The crops of one track: for each of the best seconds, the best of that second."""

    highest: dict[int, EvidenceCrop] = field(default_factory=dict)
    lowest: dict[int, EvidenceCrop] = field(default_factory=dict)
    seen_s: float = 0.0

    def add(self, crop: EvidenceCrop, options: EvidenceOptions) -> None:
        self.seen_s = crop.time_s
        _keep(self.highest, crop, options.highest, sign=1)
        _keep(self.lowest, crop, options.lowest, sign=-1)

    def crops(self) -> list[EvidenceCrop]:
        """Both kinds, each crop once, by falling score."""
        kept = {crop.frame_index: crop for crop in (*self.highest.values(), *self.lowest.values())}
        return sorted(kept.values(), key=lambda crop: (-crop.fake_probability, crop.time_s))


def _keep(kept: dict[int, EvidenceCrop], crop: EvidenceCrop, most: int, *, sign: int) -> None:
    """Puts ``crop`` among the ``most`` of the highest score (lowest, where ``sign`` is -1) if it belongs."""
    second = int(crop.time_s // APART_S)
    rival = kept.get(second)
    if rival is not None and sign * crop.fake_probability <= sign * rival.fake_probability:
        return
    kept[second] = crop
    if len(kept) > most:  # of equals the highest keep the first and the lowest the last, to show both
        del kept[min(kept, key=lambda each: (sign * kept[each].fake_probability, -sign * each))]


class _Wall:
    """The crops kept of one source."""

    def __init__(self, options: EvidenceOptions) -> None:
        self._options = options
        self._pools: dict[int, _Pool] = {}
        self._faces: Counter[int] = Counter()

    def add(self, face: FaceScore, image: Image) -> None:
        if face.fake_probability is None:
            return
        # A copy of its own: a view would keep the whole batch alive.
        crop = EvidenceCrop(face.track, face.frame_index, face.time_s, face.fake_probability, image.copy())
        self._faces[face.track] += 1
        self._pools.setdefault(face.track, _Pool()).add(crop, self._options)
        while len(self._pools) > SPARE_TRACKS * self._options.tracks:
            del self._pools[min(self._pools, key=self._weight)]

    def _weight(self, number: int) -> tuple[int, float, int]:
        """How much a track matters so far: that of few faces least; of equals the one unseen longest."""
        return self._faces[number], self._pools[number].seen_s, -number

    def chosen(self, tracks: Sequence[Track]) -> tuple[EvidenceCrop, ...]:
        kept = [track.id for track in _by_turns(tracks) if track.id in self._pools]
        shown = sorted(kept[: self._options.tracks])
        return tuple(crop for number in shown for crop in self._pools[number].crops())


def _by_turns(tracks: Sequence[Track]) -> list[Track]:
    """By falling score: the first track of each person who counts, then the second, then of the others.

    One person's many shots would else crowd out everybody else's.
    """
    places: Counter[int] = Counter()
    ranked = []
    for track in sorted(tracks, key=lambda track: (-suspicion(track.fake_probability), track.id)):
        person = track.person or track.id
        ranked.append((not track.counted, places[person], track))
        places[person] += 1
    return [track for *_, track in sorted(ranked, key=lambda each: each[:2])]
