from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_rows import made_row

from vidscan.verdict.evidence import TAIL, any_of
from vidscan_training.recipes.vit import several
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.folds import clips_of
from vidscan_training.recipes.vit.fusion import KINDS, Shares
from vidscan_training.recipes.vit.judged import Judged
from vidscan_training.recipes.vit.mouths import Addition


def test_people_are_put_together_as_in_a_scan():
    logits = np.array([[2.0, -1.0, 0.5], [-3.0, -2.0, -1.0]])
    chances = 1.0 / (1.0 + np.exp(-several.together(logits, TAIL)))
    expected = [any_of(list(row), [1.0] * 3) for row in 1.0 / (1.0 + np.exp(-logits))]
    assert chances == pytest.approx(expected, abs=1e-8)


def test_a_clear_fake_among_three_is_found_and_genuine_groups_are_not_called(tmp_path: Path):
    rows = [
        made_row(
            f"{kind} {fake}",
            fake=fake,
            collection=kind,
            person=f"{number}",
            part="val",
            clip=f"{kind} {fake} {number}",
        )
        for kind in KINDS
        for fake in (False, True)
        for number in range(40)
    ]
    fake = np.array([row.fake for row in rows])
    logits = np.where(fake, 3.0, -3.0) + np.random.default_rng(0).normal(0.0, 0.3, len(rows))
    clips = clips_of(rows, np.ones(len(rows), bool))
    judged = Judged(
        FaceStore(tmp_path, tuple(rows), np.zeros((0, 468, 2), np.float16)),
        logits, logits, logits, Addition(0.0, 0.0), clips, np.stack([logits, logits], axis=1),
        np.full(len(rows), 0.3), 1.0, 0.0, Shares(0.25, 0.1),
    )  # fmt: skip
    lines = [line.strip("| ").split(" | ") for line in several.table(judged).splitlines()[2:]]
    assert [line[0].strip("*") for line in lines] == [str(tail) for tail in several.TAILS]
    for line in lines:
        *alarms, ranked, called, accused = map(float, line[1:])
        assert len(alarms) == 2 * len(several.PEOPLE)
        assert max(alarms) < 0.1 and accused < 0.1
        assert ranked > 0.99 and called > 0.9
