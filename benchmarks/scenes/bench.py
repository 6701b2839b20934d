"""What the sections of a run share: data, detector, and how much of everything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scenes.following import NewWatcher, follow, watchers
from scenes.footage import Clip, Library, clips
from scenes.identities import Kept, kept
from scenes.pasted import HEIGHT, WIDTH, crowds
from scenes.portraits import faceless, portraits
from scenes.truth import Scene
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.records import Image


@dataclass
class Bench:
    """What the sections share."""

    data: Path
    split: str
    seed: int
    quick: bool
    plain: bool
    scenes: int
    repeats: int
    fps: float
    detector: MediaPipeFaceDetector
    fill: bool

    @cached_property
    def backgrounds(self) -> list[Image]:
        """In which nobody is."""
        return faceless(self.detector, WIDTH, HEIGHT)

    @cached_property
    def library(self) -> Library:
        """Of clips with their truth."""
        return Library(self.detector)

    @cached_property
    def reals(self) -> list[Clip]:
        """Real clips: of the test pairs, or of all others."""
        parts = ("test",) if self.split == "test" else ("train", "val")
        return [each for each in clips(self.data, *parts) if not each.fake]

    def crowds(self, some: int, frames: int, offset: int) -> list[Scene]:
        """Scenes of pasted faces; other offsets give other people and places."""
        people = portraits(self.data, self.detector, self.split, self.seed + offset)
        return crowds(people, self.backgrounds, count=some, frames=frames, seed=self.seed + offset)

    def watchers(self, *, plain: bool = False, still: bool = False) -> NewWatcher:
        """The product's, or with ``--plain`` those of the plain detector."""
        return watchers(self.detector, plain=plain or self.plain, still=still)

    def follow(self, scenes: Iterable[Scene]) -> Kept:
        """Looks at scenes and says what became of them."""
        return kept(follow(scene, self.watchers()()) for scene in scenes)
