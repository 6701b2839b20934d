"""The search of one frame: collects what the detector's networks find, and checks it with close-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union, same_face
from vidscan.faces.close_ups import follow_faces, second_look, tilt
from vidscan.faces.crops import resize
from vidscan.faces.detector import DOUBTFUL_CONFIDENCE, SECOND_LOOK_CONFIDENCE, shows_face
from vidscan.faces.predicted import KnownFace, paired
from vidscan.faces.rotation import nearest_quarter, scaled, turned, turned_back
from vidscan.faces.tiles import SURE_SHARE, Tile
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

TILTED = 30.0
"""From this tilt in degrees on, a close-up checks where the eyes are: of a face turned by 60 degrees, a
network that sees a larger picture may place them 39 degrees off."""

TURNED_SIDE = 768
"""A picture is reduced to this longer side in pixels before it is turned or bordered; networks see 192."""

CHECKED_CONFIDENCE = 0.75
"""Minimum confidence of the second look at a candidate from a tile, or from a picture turned on trial.

There are many of both, so more textures are taken for faces than in the whole picture: 19 of 20 portraits
of FFHQ reach 0.84; smoke and galaxies mostly stay below 0.75 (0.77 at most), and must pass the plain second
look besides."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How far a candidate is believed, by the kind of picture that the network saw it in.

    ``trusted``: a confident candidate is accepted even if the second look fails, and its box is preferred.
    ``min_second_look``: the confidence required of the second look.
    """

    trusted: bool
    min_second_look: float


WHOLE = Policy(trusted=True, min_second_look=SECOND_LOOK_CONFIDENCE)
"""For candidates from the whole picture in its usual orientation."""
TILE = TURNED = Policy(trusted=False, min_second_look=CHECKED_CONFIDENCE)
"""For candidates from a tile, and from the whole picture turned on trial."""


@dataclass
class FrameSearch:
    """The search of one frame, RGB ``uint8[height, width, 3]``; all boxes are in its pixels.

    ``known``: faces of earlier frames, at their predicted places; ``found``: accepted faces; ``refused``:
    boxes of rejected candidates.
    """

    detector: FaceDetector
    image: Image
    known: Sequence[KnownFace]
    found: list[Detection] = field(default_factory=list)
    refused: list[Box] = field(default_factory=list)

    @property
    def side(self) -> int:
        """The longer side of the frame in pixels."""
        height, width = self.image.shape[:2]
        return int(max(height, width))

    def candidates(
        self, network: Callable[[Image], Sequence[Detection]], quarters: int, tile: Tile | None = None
    ) -> list[Detection]:
        """Runs a network on the frame or a tile of it, turned anticlockwise by ``quarters``.

        Faces that the edge of a tile cuts off are left out: a neighbouring or coarser tile has them whole.
        """
        if tile is None:
            return _candidates(network, self.image, quarters)
        part = self.image[tile.y : tile.y + tile.h, tile.x : tile.x + tile.w]
        found = [scaled(each, 1.0, tile.x, tile.y) for each in _candidates(network, part, quarters)]
        height, width = self.image.shape[:2]
        return [each for each in found if not _is_cut(each.box, tile, width, height)]

    def add(self, candidates: Iterable[Detection], quarters: int, policy: Policy) -> None:
        """Adds each new candidate, seen in a picture turned by ``quarters``, to ``found`` or ``refused``."""
        for candidate in candidates:
            if self._is_settled(candidate, quarters):
                continue
            face = self.accept(candidate, quarters, policy)
            if face is None:
                self.refused.append(candidate.box)
            else:
                self.found.append(face)

    def accept(self, candidate: Detection, quarters: int, policy: Policy) -> Detection | None:
        """Returns the face that a candidate shows, or None if close-ups do not confirm it.

        A confident candidate at a known face's place needs no check. In second looks, four turns give a
        texture four chances: they reach 0.77 where a single look gives less than 0.65 (smoke of a rocket), so
        a candidate that is not trusted must pass a single look as well.
        """
        confident = candidate.confidence >= DOUBTFUL_CONFIDENCE
        if confident and self._is_known(candidate, quarters):
            return candidate
        seen = second_look(self.detector, self.image, candidate.box, quarters, policy.min_second_look)
        trusted = policy.trusted and confident
        if seen is None:
            return candidate if trusted else None
        upright = nearest_quarter(seen.roll)
        if not trusted and not shows_face(self.detector.near, self.image, candidate.box, upright):
            return None
        return candidate if policy.trusted and tilt(seen, quarters) < TILTED else seen

    def _is_settled(self, candidate: Detection, quarters: int) -> bool:
        """Tells whether a candidate was refused or found before, or is left to :meth:`follow`."""
        # A small face within a large one that was refused is another candidate: only similar boxes count.
        if any(intersection_over_union(candidate.box, box) > SAME_FACE_OVERLAP for box in self.refused):
            return True
        if self._is_found(candidate.box):
            return True
        doubtful = candidate.confidence < DOUBTFUL_CONFIDENCE
        return doubtful and self._is_small(candidate) and self._is_known(candidate, quarters)

    def _is_found(self, box: Box) -> bool:
        return any(_touch(box, each.box) and same_face(box, each.box) for each in self.found)

    def _is_known(self, candidate: Detection, quarters: int) -> bool:
        """Tells whether a candidate shows a known face in the same orientation as before."""
        place = paired(self.known, [candidate]).get(0)
        if place is None or self.known[place].quarters != quarters or tilt(candidate, quarters) >= TILTED:
            return False
        return candidate.confidence >= DOUBTFUL_CONFIDENCE or same_face(self.known[place].box, candidate.box)

    def _is_small(self, face: Detection) -> bool:
        """Tells whether the whole frame shows a face with too few pixels for its box to be exact."""
        return face.box.longer_side * SURE_SHARE < self.side

    def follow(self) -> None:
        """Looks closely at known faces that were not found, and at those too small in the whole frame."""
        pairs = paired(self.known, self.found)
        lost = [face for place, face in enumerate(self.known) if place not in pairs.values()]
        small = {
            number: replace(self.known[place], box=self.found[number].box)
            for number, place in pairs.items()
            if self._is_small(self.found[number])
        }
        for face, seen in follow_faces(self.detector, self.image, [*lost, *small.values()]):
            place = next((number for number, each in small.items() if each is face), None)
            if place is not None:
                self.found[place] = seen
            elif not self._is_found(seen.box):
                self.found.append(seen)


def _candidates(
    network: Callable[[Image], Sequence[Detection]], image: Image, quarters: int
) -> list[Detection]:
    if not quarters:
        return list(network(image))
    height, width = image.shape[:2]
    factor = max(1.0, max(width, height) / TURNED_SIDE)
    small = resize(image, width=max(1, round(width / factor)), height=max(1, round(height / factor)))
    rows, columns = small.shape[:2]
    found = network(turned(small, quarters))
    return [scaled(turned_back(each, quarters, columns, rows), factor) for each in found]


def _touch(a: Box, b: Box) -> bool:
    """Tells whether two boxes share a point: a quick test that few pairs in a crowd pass."""
    return a.x <= b.x + b.w and b.x <= a.x + a.w and a.y <= b.y + b.h and b.y <= a.y + a.h


def _is_cut(box: Box, tile: Tile, width: int, height: int) -> bool:
    """Tells whether a box crosses an edge of the tile that is not an edge of the picture."""
    return (
        (box.x < tile.x and tile.x > 0)
        or (box.y < tile.y and tile.y > 0)
        or (box.x + box.w > tile.x + tile.w and tile.x + tile.w < width)
        or (box.y + box.h > tile.y + tile.h and tile.y + tile.h < height)
    )
