"""What the mouth adds to the face in clips: a head of its own over the same tower, and how much it counts.

It is fitted on clips alone. Of stills it tells little, and what it says of sources of portraits left out
lowers their figures (the tables in training/README.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan.faces.mouths import EARLY
from vidscan.system.files import replacing
from vidscan_training.recipes.vit.faces import FaceRow, FaceStore
from vidscan_training.recipes.vit.features import CLIPS, MOUTH
from vidscan_training.recipes.vit.folds import UPLOADS, Clip, Folds, Learnt, out_of_fold
from vidscan_training.recipes.vit.fusion import Array, balanced, means, platt
from vidscan_training.recipes.vit.probe import ProbeOptions, fit, head_of
from vidscan_training.recipes.vit.tower.graph import Head

SETS = (MOUTH + "plain", MOUTH + "degraded1", MOUTH + "fields1")
"""The sets of views that the mouth's head is fitted on; of interlaced video a scan shows one field."""

OPTIONS = ProbeOptions(degraded=0.1, fields=0.5)
"""How it is fitted: as the face's head, but that degraded views and those of interlaced video count more."""

SAY = 0.5
"""Weight of the mouth's calibrated logit beside the face's, which counts 1; 0.35 and 0.75 are as good."""


def of_clips(rows: Sequence[FaceRow]) -> npt.NDArray[np.bool_]:
    """Which faces are of clips whose mouths count."""
    return np.array([row.collection in CLIPS for row in rows])


@dataclass(frozen=True, slots=True)
class Addition:
    """``slope * logit + intercept`` of a mouth's head is what is added to the logit of the face's."""

    slope: float
    intercept: float

    def to(self, faces: Array, mouths: Array) -> Array:
        """The faces' logits with the mouths' added, where there are any."""
        return np.asarray(faces + np.nan_to_num(self.slope * mouths + self.intercept))


def mouths_out_of_fold(store: FaceStore, folds: Folds) -> Array:
    """As :func:`folds.out_of_fold`, of the mouths of clips, each kept for some faces as a scan does.

    Computed once, and kept in the store.
    """
    file = store.path / "mouths_out_of_fold.npy"
    if not file.exists():
        logits = out_of_fold(store, SETS, MOUTH + UPLOADS, OPTIONS, folds, of_clips(store.rows))
        with replacing(file) as path:
            np.save(path, logits)
    return np.stack([held(each, store.rows) for each in np.load(file).astype(np.float64)])


def held(logits: Array, rows: Sequence[FaceRow]) -> Array:
    """Each clip's logits, of which a scan computes every second and keeps it for the next face.

    That is so for the first faces of a track; of a clip there are no more here.
    """
    found, places = logits.copy(), defaultdict(list)
    for place, row in enumerate(rows):
        if np.isfinite(logits[place]):
            places[row.clip].append(place)
    for own in places.values():
        for number, place in enumerate(own):
            found[place] = logits[own[EARLY * (number // EARLY)]]
    return found


def addition(clips: Sequence[Clip], faces: Array, mouths: Array) -> Addition:
    """How mouths are added to faces; both are raw logits by face, of heads that never saw the source."""
    fake = np.array([clip.row.fake for clip in clips])
    face_slope, _ = platt(means(faces, clips), fake, balanced(clips))
    seen = [clip for clip in clips if np.isfinite(mouths[list(clip.places)]).all()]
    fake = np.array([clip.row.fake for clip in seen])
    slope, intercept = platt(means(mouths, seen), fake, balanced(seen))
    return Addition(SAY * slope / face_slope, SAY * intercept / face_slope)


def fit_mouths(store: FaceStore, added: Addition) -> Head:
    """The head of the mouth fitted on all clips, whose logit is added to the face's."""
    kernel, bias = fit(Learnt(store, SETS, OPTIONS.taps).sample(of_clips(store.rows)), OPTIONS)
    return head_of(np.float32(added.slope) * kernel, added.slope * bias + added.intercept, OPTIONS.taps)
