"""What the detector says of faces that were degraded as uploads are, of sources left out.

A FAKE threshold that suits clean files accuses genuine people as soon as their pictures were reduced,
compressed, or changed in colour. The views are those of :data:`vidscan_training.recipes.vit.folds.UPLOADS`,
on which nothing is fitted: neither heads nor calibration nor thresholds.
"""

from __future__ import annotations

import numpy as np

from vidscan.faces.crops import square_crop
from vidscan.faces.quality import detail
from vidscan.models.checkpoint import load_model
from vidscan.records import Box
from vidscan.system.files import replacing
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.features import GROUP, make_views, of_set
from vidscan_training.recipes.vit.folds import UPLOADS, Folds, clips_of
from vidscan_training.recipes.vit.fusion import KINDS, Array, apart, clipped, means
from vidscan_training.recipes.vit.judged import Judged
from vidscan_training.recipes.vit.rules import left_out, rules, shares_by_source
from vidscan_training.recipes.vit.tower.port import SIDE
from vidscan_training.recipes.vit.views import MARGIN

TRIED = (0.0, 0.06, 0.07, 0.08, 0.1, 0.12)
"""Values of ``rules.LEAST_DETAIL``."""


def table(judged: Judged, folds: Folds) -> str:
    """In Markdown: what is called FAKE of plain and of degraded faces, by the least detail asked for."""
    first, details = _seen(judged.store).T
    there = np.isfinite(details) & np.isfinite(judged.uploads)
    scored = there & np.array([row.collection in KINDS for row in judged.store.rows])
    clips = clips_of(judged.store.rows, scored)
    second = clipped(judged.slope * judged.uploads + judged.intercept)
    members = np.stack([means(clipped(first), clips), means(second, clips)], axis=1)
    fake, fineness = np.array([clip.row.fake for clip in clips]), means(details, clips)
    lines = [
        "| least detail | fakes: FAKE | genuine: FAKE | mean over sources | most in a source of 30 "
        "| degraded: fakes | genuine | mean over sources |",
        f"|---|{'---|' * 7}",
    ]
    for least in TRIED:
        fine = judged.details >= least
        rule_of = rules(judged.clips, judged.members, folds, apart(judged.shares), fine)
        plain = left_out(judged.clips, judged.members, fine, rule_of, folds)[1] == 1
        worse = left_out(clips, members, fineness >= least, rule_of, folds)[1] == 1
        shares = shares_by_source(judged.clips, plain, fake=False).values()
        cells = [
            plain[judged.fake].mean(),
            plain[~judged.fake].mean(),
            np.mean([share for share, _ in shares]),
            max(share for share, count in shares if count >= 30),
            worse[fake].mean(),
            worse[~fake].mean(),
            np.mean([share for share, _ in shares_by_source(clips, worse, fake=False).values()]),
        ]
        lines.append(f"| {least} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(lines)


def _seen(store: FaceStore) -> Array:
    """The first network's calibrated logit of each face's degraded view, and its detail, ``[faces, 2]``.

    NaN where a face has no such view. Computed once, and kept in the store.
    """
    file = store.path / "uploads.npy"
    if file.exists():
        return np.asarray(np.load(file))
    model = load_model("vidscan-lite2", "onnx")
    found = np.full((len(store.rows), 2), np.nan)
    # The box that the view was cut around, had it not been moved.
    box = Box((SIDE - SIDE / MARGIN) / 2, (SIDE - SIDE / MARGIN) / 2, SIDE / MARGIN, SIDE / MARGIN)
    places = of_set(store, UPLOADS)
    for start in range(0, len(places), GROUP):
        group = places[start : start + GROUP]
        views = make_views(store, UPLOADS, group)
        card = model.card
        crops = [square_crop(view, box, margin=card.margin, size=card.input_size) for view in views]
        score = np.clip(np.asarray(model.score(np.stack(crops)), np.float64), 1e-7, 1 - 1e-7)
        found[group] = np.stack([np.log(score / (1 - score)), [detail(view, box) for view in views]], axis=1)
    with replacing(file) as path:
        np.save(path, found)
    return found
