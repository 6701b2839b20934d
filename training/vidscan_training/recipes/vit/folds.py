"""The protocol: a head is measured on whole sources that it never saw, nor any person shown in them.

``folds.json`` lists what is left out together. For each fold a head is fitted on the rest, and scores the
plain views of what was left out. Sources are right or wrong as a whole, which a pooled AUC hides. The
figure to choose by is the mean over pairs of sources, each genuine one against each synthesised one of the
same kind.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vidscan_training.recipes.vit.faces import FaceRow, FaceStore
from vidscan_training.recipes.vit.features import MOUTH, donors, loaded
from vidscan_training.recipes.vit.probe import FORGED, Array, ProbeOptions, Sample, fit

FOLDS_FILE = Path(__file__).with_name("folds.json")

FEWEST = 3
"""Sources of fewer clips count together as one: an AUC of a single clip is 0 or 1."""

FRAMES = 3
"""Frames of a clip in each set that a head is fitted on: more of them are alike and only cost time."""

UPLOADS = "degraded5"
"""The degraded views of every second face on which heads are measured beside the plain ones. No head learns
from this set."""

OTHERS = "(sources of one or two clips)"


@dataclass(frozen=True, slots=True)
class Folds:
    """``of``: the fold in which a collection's source (of FaceForensics++, its part) is left out."""

    of: Mapping[tuple[str, str], str]

    @classmethod
    def read(cls, path: Path = FOLDS_FILE) -> Folds:
        """Reads the list."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            {
                (collection, source): fold
                for fold, collections in document["folds"].items()
                for collection, sources in collections.items()
                for source in sources
            }
        )

    @property
    def names(self) -> list[str]:
        """All folds, in order."""
        return sorted(set(self.of.values()))

    def fold(self, row: FaceRow) -> str:
        """The fold in which a face is left out; empty for one that never is."""
        return self.of.get((row.collection, row.part or row.source), "")

    def kept(self, rows: Sequence[FaceRow], fold: str) -> npt.NDArray[np.bool_]:
        """Which faces may be learnt from when ``fold`` is left out: none of its sources and of its people."""
        absent = {(row.collection, row.person) for row in rows if self.fold(row) == fold}
        return np.array(
            [self.fold(row) != fold and (row.collection, row.person) not in absent for row in rows]
        )


class Learnt:
    """The cached sets of views that heads are fitted on, read for the blocks that are tapped."""

    def __init__(self, store: FaceStore, sets: Sequence[str], taps: Sequence[int]) -> None:
        blocks = [tap - 1 for tap in taps]
        self._rows, self._sets = store.rows, sets
        self._donors = [donors(store, name) for name in sets]
        self._features = [
            np.ascontiguousarray(each[:, blocks]).reshape(len(store.rows), -1)
            for each in loaded(store.path, sets)
        ]

    @property
    def first(self) -> Array:
        """The features of the first set's views, ``float32[faces, features]``."""
        return self._features[0].astype(np.float32)

    def sample(self, kept: npt.NDArray[np.bool_]) -> Sample:
        """The views of the faces that are kept.

        Of each set these are at most ``FRAMES`` frames of a clip, other ones in each set; of composites those
        of two faces that are kept.
        """
        parts: list[Array] = []
        fakes: list[bool] = []
        sources: list[str] = []
        people: list[str] = []
        kinds: list[str] = []
        for name, features, other in zip(self._sets, self._features, self._donors, strict=True):
            both = kept & kept[other]
            places = self._spread(np.flatnonzero(both & np.isfinite(features[:, 0])), len(parts))
            parts.append(features[places].astype(np.float32))
            rows = [self._rows[place] for place in places]
            forged = name.startswith(FORGED)
            kind = name.removeprefix(MOUTH).rstrip("0123456789")
            fakes += [forged or row.fake for row in rows]
            sources += [f"{kind}/{counted_as(row)}" if forged else counted_as(row) for row in rows]
            people += [f"{row.collection}/{row.person}" for row in rows]
            kinds += [kind] * len(rows)
        return Sample(np.concatenate(parts), np.array(fakes), sources, people, kinds)

    def _spread(self, places: npt.NDArray[np.int64], number: int) -> list[int]:
        """Of each clip's places at most ``FRAMES``, evenly spread and beginning elsewhere in each set."""
        of_clip: dict[str, list[int]] = defaultdict(list)
        for place in places:
            of_clip[self._rows[place].clip].append(int(place))
        chosen: list[int] = []
        for own in of_clip.values():
            step = max(1, len(own) // FRAMES)
            chosen += own[number % step :: step][:FRAMES]
        return chosen


def counted_as(row: FaceRow) -> str:
    """The source that a face's weight is shared by: the methods of FaceForensics++ are one each."""
    return f"{row.source}/{row.method}" if row.collection == "ffpp" and row.fake else row.source


def out_of_fold(
    store: FaceStore,
    sets: Sequence[str],
    uploads: str,
    options: ProbeOptions,
    folds: Folds,
    among: npt.NDArray[np.bool_] | None = None,
) -> Array:
    """The logits of P(fake) of each face by the head fitted on ``sets`` without its fold, ``[2, faces]``.

    The first are of its view in the first of the sets, the second of that in the set ``uploads``. NaN for a
    face in no fold, or without that view. ``among``: the faces that are learnt from and scored, if not all.
    """
    learnt, worse = Learnt(store, sets, options.taps), Learnt(store, [uploads], options.taps).first
    chosen = np.ones(len(store.rows), bool) if among is None else among
    logits = np.full((2, len(store.rows)), np.nan, np.float32)
    of = np.array([folds.fold(row) for row in store.rows])
    for fold in tqdm(folds.names, desc="folds", mininterval=10):
        left_out = (of == fold) & chosen
        if not left_out.any():
            continue
        kernel, bias = fit(learnt.sample(folds.kept(store.rows, fold) & chosen), options)
        for own, features in zip(logits, (learnt.first, worse), strict=True):
            own[left_out] = features[left_out] @ kernel + bias
    return logits


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip or a still: any of its faces' rows, which name what it is, and the numbers of all of them."""

    row: FaceRow
    places: tuple[int, ...]


def clips_of(rows: Sequence[FaceRow], scored: npt.NDArray[np.bool_]) -> list[Clip]:
    """The clips of those faces that have a score, in order."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if scored[place]:
            places[row.clip].append(place)
    return [Clip(rows[each[0]], tuple(each)) for each in places.values()]


def auc(real: npt.ArrayLike, fake: npt.ArrayLike) -> float:
    """The share of pairs in which the synthesised one scores higher; ties count half."""
    real, fake = np.sort(np.asarray(real, np.float64)), np.asarray(fake, np.float64)
    below, upto = np.searchsorted(real, fake, "left"), np.searchsorted(real, fake, "right")
    return float((below + upto).mean() / 2 / len(real))


Scores = Mapping[tuple[bool, str], list[float]]
"""Clips' scores by label (fake or not) and source."""


def by_source(clips: Iterable[Clip], scores: Iterable[float], collection: str) -> Scores:
    """The scores of one collection; small sources of one label stand together under :data:`OTHERS`."""
    found: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for clip, score in zip(clips, scores, strict=True):
        if clip.row.collection == collection:
            found[clip.row.fake, clip.row.source].append(score)
    merged: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for (fake, source), own in found.items():
        merged[fake, source if len(own) >= FEWEST else OTHERS] += own
    return merged


def mean_over_pairs(scores: Scores) -> float:
    """The mean AUC over pairs of sources, each genuine one against each synthesised one."""
    real = [own for (fake, _), own in scores.items() if not fake]
    forged = [own for (fake, _), own in scores.items() if fake]
    return float(np.mean([auc(one, other) for one in real for other in forged]))


def pooled(scores: Scores) -> float:
    """The AUC over all clips together."""
    both = [
        [score for (fake, _), own in scores.items() if fake is label for score in own]
        for label in (False, True)
    ]
    return auc(both[0], both[1])


def headline(clips: Sequence[Clip], scores: Sequence[float]) -> dict[str, float]:
    """The figures that choices are made by, all of sources left out.

    ``ffpp val`` is of pairs of people left out; ``stylegan``: 256 px against FFHQ at 256 px, both left out.
    """
    by = {kind: by_source(clips, scores, kind) for kind in ("talking", "stills")}
    pairs = list(zip(clips, scores, strict=True))

    def between(*sources: str, part: str = "") -> float:
        own = [
            (clip.row.fake, s)
            for clip, s in pairs
            if clip.row.source in sources and part in ("", clip.row.part)
        ]
        return auc([s for fake, s in own if not fake], [s for fake, s in own if fake])

    return {
        "talking, pairs": mean_over_pairs(by["talking"]),
        "talking, pooled": pooled(by["talking"]),
        "stills, pairs": mean_over_pairs(by["stills"]),
        "stills, pooled": pooled(by["stills"]),
        "stylegan": between("stylegan256", "ffhq256"),
        "ffpp val": between("ffpp", part="val"),
        "ffpp val+test": between("ffpp"),
    }
