"""The search of one frame while it is under way: what detectors claim, and what of it is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union, same_face
from vidscan.faces.close_ups import close_ups, second_look, tilt
from vidscan.faces.crops import resize
from vidscan.faces.detector import DOUBTFUL_CONFIDENCE, SECOND_LOOK_CONFIDENCE, shows_face
from vidscan.faces.predicted import KnownFace, paired
from vidscan.faces.rotation import nearest_quarter, scaled, turned, turned_back
from vidscan.faces.tiles import SURE_SHARE, Tile
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

TILTED = 30.0
"""Degrees from which the eyes that a network places in a larger picture are checked close up: those of a
face that is turned by 60 degrees may be off by 39."""

TURNED_SIDE = 768
"""Pixels of the longer side to which a picture is reduced before it is turned: the networks see 192."""


@dataclass
class Look:
    """One frame's search.

    ``image``: RGB ``uint8[height, width, 3]``, whose pixels all boxes are in; ``known``: faces of the frames
    before, where they are expected; ``found``: faces that are believed; ``refused``: boxes of claims that are
    not.
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

    def claims(
        self, network: Callable[[Image], Sequence[Detection]], quarters: int, tile: Tile | None = None
    ) -> list[Detection]:
        """What a network claims in the frame, or in a tile of it, turned anticlockwise by ``quarters``.

        Of a tile, faces that its edge cuts off are left out: a neighbour, or a coarser one, has them whole.
        """
        if tile is None:
            return _claims(network, self.image, quarters)
        part = self.image[tile.y : tile.y + tile.h, tile.x : tile.x + tile.w]
        claims = [scaled(each, 1.0, tile.x, tile.y) for each in _claims(network, part, quarters)]
        height, width = self.image.shape[:2]
        return [each for each in claims if not _is_cut(each.box, tile, width, height)]

    def judge(
        self,
        claim: Detection,
        quarters: int,
        *,
        trusted: bool = False,
        least: float = SECOND_LOOK_CONFIDENCE,
    ) -> None:
        """Takes a claim in or refuses it.

        A face that is known and stands as before needs no proof; any other gets second looks, which also say
        which way up it is.

        Args:
            claim: what a network claims.
            quarters: the turn of the picture in which it does.
            trusted: the network saw the whole picture as it is: a claim that is no doubtful one holds without
                the second looks' consent, and its box is the better one.
            least: what the second look must be sure of.
        """
        # A small face within a large one that was refused is another claim: only boxes alike are refused.
        if any(intersection_over_union(claim.box, box) > SAME_FACE_OVERLAP for box in self.refused):
            return
        if self._is_found(claim.box):
            return
        if self._is_known(claim, quarters):
            if claim.confidence >= DOUBTFUL_CONFIDENCE:
                self.found.append(claim)
                return
            if self._is_small(claim):  # the close-up of known faces tells
                return
        proved = self._proved(claim, quarters, trusted, least)
        if proved is None:
            self.refused.append(claim.box)
        else:
            self.found.append(proved)

    def _proved(self, claim: Detection, quarters: int, trusted: bool, least: float) -> Detection | None:
        """The face as the better of claim and second look shows it; None where they disagree.

        Four turns give a texture four chances and reach 0.77 where a single look gives less than 0.65 (smoke
        of a rocket), so whatever is not sure must pass that, too.
        """
        sure = trusted and claim.confidence >= DOUBTFUL_CONFIDENCE
        seen = second_look(self.detector, self.image, claim.box, quarters, least)
        if seen is None:
            return claim if sure else None
        upright = nearest_quarter(seen.roll)
        if not sure and not shows_face(self.detector.near, self.image, claim.box, upright):
            return None
        return claim if trusted and tilt(seen, quarters) < TILTED else seen

    def _is_found(self, box: Box) -> bool:
        """Whether a face there is one of those found already."""
        return any(_touch(box, each.box) and same_face(box, each.box) for each in self.found)

    def _is_known(self, claim: Detection, quarters: int) -> bool:
        place = paired(self.known, [claim]).get(0)
        if place is None or self.known[place].quarters != quarters or tilt(claim, quarters) >= TILTED:
            return False
        return claim.confidence >= DOUBTFUL_CONFIDENCE or same_face(self.known[place].box, claim.box)

    def _is_small(self, face: Detection) -> bool:
        """Whether the whole frame shows it with too few pixels for its box to be exact."""
        return face.box.longer_side * SURE_SHARE < self.side

    def follow(self) -> None:
        """Close-ups of the known faces that were not found, and of those that the whole shows too small."""
        pairs = paired(self.known, self.found)
        lost = [face for place, face in enumerate(self.known) if place not in pairs.values()]
        small = {
            number: replace(self.known[place], box=self.found[number].box)
            for number, place in pairs.items()
            if self._is_small(self.found[number])
        }
        wanted = [*lost, *small.values()]
        for face, seen in close_ups(self.detector, self.image, wanted):
            place = next((number for number, each in small.items() if each is face), None)
            if place is not None:
                self.found[place] = seen
            elif not self._is_found(seen.box):
                self.found.append(seen)


def _claims(network: Callable[[Image], Sequence[Detection]], image: Image, quarters: int) -> list[Detection]:
    if not quarters:
        return list(network(image))
    height, width = image.shape[:2]
    factor = max(1.0, max(width, height) / TURNED_SIDE)
    small = resize(image, width=max(1, round(width / factor)), height=max(1, round(height / factor)))
    rows, columns = small.shape[:2]
    found = network(turned(small, quarters))
    return [scaled(turned_back(each, quarters, columns, rows), factor) for each in found]


def _touch(a: Box, b: Box) -> bool:
    """Whether two boxes share a point: quick to tell, and few of a crowd do."""
    return a.x <= b.x + b.w and b.x <= a.x + a.w and a.y <= b.y + b.h and b.y <= a.y + a.h


def _is_cut(box: Box, tile: Tile, width: int, height: int) -> bool:
    """Whether a box reaches over an edge of the tile that is no edge of the picture."""
    return (
        (box.x < tile.x and tile.x > 0)
        or (box.y < tile.y and tile.y > 0)
        or (box.x + box.w > tile.x + tile.w and tile.x + tile.w < width)
        or (box.y + box.h > tile.y + tile.h and tile.y + tile.h < height)
    )
