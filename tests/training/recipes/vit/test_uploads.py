from __future__ import annotations

from pathlib import Path

import numpy as np
from made_rows import made_row

from vidscan_training.recipes.vit import uploads
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.folds import Folds, clips_of
from vidscan_training.recipes.vit.fusion import KINDS, Shares
from vidscan_training.recipes.vit.judged import Judged
from vidscan_training.recipes.vit.mouths import Addition

SOURCES = {"camera": False, "phone": False, "swap": True, "sync": True}


def made(path: Path) -> tuple[Judged, Folds]:
    """Fakes score high. Degraded, genuine people score as high, but those of "phone" in little detail."""
    rows = [
        made_row(
            source, fake=fake, collection=kind, person=f"{source}{number}", clip=f"{kind} {source} {number}"
        )
        for kind in KINDS
        for source, fake in SOURCES.items()
        for number in range(30)
    ]
    fake = np.array([row.fake for row in rows])
    logits = np.where(fake, 2.0, -2.0) + np.random.default_rng(0).normal(0.0, 0.2, len(rows))
    details = np.where([row.source == "phone" for row in rows], 0.05, 0.3)
    store = FaceStore(path, tuple(rows), np.zeros((0, 468, 2), np.float16))
    np.save(path / "uploads.npy", np.stack([np.full(len(rows), 2.5), details], axis=1))
    clips = clips_of(rows, np.ones(len(rows), bool))
    judged = Judged(
        store, logits, logits, np.full(len(rows), 2.5), Addition(0.0, 0.0), clips,
        np.stack([logits, logits], axis=1), np.full(len(rows), 0.3), 1.0, 0.0, Shares(0.25, 0.1),
    )  # fmt: skip
    folds = Folds(
        {(kind, source): "a" if source in ("camera", "swap") else "b" for kind in KINDS for source in SOURCES}
    )
    return judged, folds


def test_degraded_faces_are_judged_by_rules_of_plain_ones_and_by_their_own_detail(tmp_path):
    lines = uploads.table(*made(tmp_path)).splitlines()[2:]
    figures = {row[0]: row[1:] for row in ([float(cell) for cell in line.split("|")[1:-1]] for line in lines)}
    assert tuple(figures) == uploads.TRIED
    for least, (called, accused, mean, most, degraded, degraded_accused, _) in figures.items():
        assert called == 1.0
        assert accused <= mean + 1e-3 <= most + 2e-3 < 0.1
        assert degraded == 1.0
        assert degraded_accused == (1.0 if least <= 0.05 else 0.5)
