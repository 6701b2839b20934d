from __future__ import annotations

import numpy as np
import pytest
from made_rows import made_clips

from vidscan_training.recipes.vit.folds import Clip, Folds
from vidscan_training.recipes.vit.fusion import (
    KINDS,
    ByMedium,
    Fusion,
    Shares,
    apart,
    are_stills,
    balanced,
    clipped,
    figures,
    fuse,
    second_alone,
)
from vidscan_training.recipes.vit.rules import (
    LOSS,
    TIE,
    Rule,
    chosen_shares,
    left_out,
    rules,
    shares_by_source,
    thresholds,
)

GENUINE = {"camera": 120, "phone": 40, "studio": 31, "one": 2, "other": 1}
FORGED = {"swap": 80, "sync": 50, "gan": 5, "few": 2}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Clips of all kinds, in each of some large and some small sources of both labels."""
    return [
        clip
        for kind in KINDS
        for fake, sources in ((False, GENUINE), (True, FORGED))
        for source, count in sources.items()
        for clip in made_clips(f"{kind} {source}", count, fake=fake, collection=kind)
    ]


def truth(clips: list[Clip]) -> np.ndarray:
    return np.array([clip.row.fake for clip in clips])


def made_logits(clips: list[Clip], seed: int, strength: dict[str, float]) -> np.ndarray:
    """Logits that tell the labels apart by ``strength`` of each kind, and wander from source to source."""
    generator = np.random.default_rng(seed)
    wander = {clip.row.source: generator.normal(0.0, 0.5) for clip in clips}
    return np.array(
        [
            generator.normal(strength[clip.row.collection] * (1 if clip.row.fake else -1), 1.0)
            + wander[clip.row.source]
            for clip in clips
        ]
    )


def all_of(clips: list[Clip]) -> np.ndarray:
    return np.ones(len(clips), bool)


def evenly(strength: float) -> dict[str, float]:
    return dict.fromkeys(KINDS, strength)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_thresholds_keep_to_the_shares_of_mistakes(clips, seed, strength):
    logits, fake = made_logits(clips, seed, evenly(strength)), truth(clips)
    limits = thresholds(clips, logits, all_of(clips))
    alarm, miss = logits >= limits.fake, logits <= limits.real
    assert alarm[~fake].mean() <= 0.02
    assert miss[fake].mean() <= 0.05
    alarms = shares_by_source(clips, alarm, fake=False)
    assert np.mean([share for share, _ in alarms.values()]) <= 0.02
    assert max(share for share, count in alarms.values() if count >= 30) <= 0.06
    misses = shares_by_source(clips, miss, fake=True)
    assert np.mean([share for share, _ in misses.values()]) <= 0.05
    if strength == 3.0:
        assert alarm[fake].mean() > 0.5
        assert miss[~fake].mean() > 0.5


def test_one_large_source_of_false_alarms_moves_the_threshold():
    """3 of its 40 people are many; among all 1060 they are few."""
    clips = [
        *(clip for number in range(20) for clip in made_clips(f"calm{number}", 51, fake=False)),
        *made_clips("loud", 40, fake=False),
        *made_clips("swap", 100, fake=True),
    ]
    logits = np.where(truth(clips), 3.0, -3.0)
    logits[1020:1023] = [2.0, 1.9, 1.8]
    fine = all_of(clips)
    assert thresholds(clips, logits, fine).fake == 1.9
    logits[1020:1030] = -3.0
    assert thresholds(clips, logits, fine).fake == 3.0
    logits[0:3] = [2.0, 1.9, 1.8]  # 3 of 51 are below 6 %
    assert thresholds(clips, logits, fine).fake == 1.8


def test_genuine_clips_of_which_fake_is_never_said_move_no_threshold():
    clips = [
        *(clip for number in range(20) for clip in made_clips(f"calm{number}", 51, fake=False)),
        *made_clips("blurred", 40, fake=False),
        *made_clips("swap", 100, fake=True),
    ]
    logits = np.where(truth(clips), 1.0, -3.0)
    logits[1020:1060] = 2.0
    fine = all_of(clips)
    assert thresholds(clips, logits, fine).fake > 2.0
    fine[1020:1060] = False
    limits = thresholds(clips, logits, fine)
    assert limits.fake == 1.0
    alike = Fusion((1.0,), 1.0, 0.0)
    rule = Rule(ByMedium(alike, alike), limits)
    said = rule.verdicts(logits[:, None], np.zeros(len(clips), bool), fine)
    assert set(said[1020:1060]) == {0}
    assert set(said[1060:]) == {1}


def test_detector_that_always_errs_decides_nothing():
    clips = [*made_clips("camera", 50, fake=False), *made_clips("swap", 50, fake=True)]
    logits = np.where(truth(clips), -1.0, 1.0)
    limits = thresholds(clips, logits, all_of(clips))
    assert not np.any(logits >= limits.fake)
    assert not np.any(logits <= limits.real)


def two_folds(clips: list[Clip]) -> Folds:
    return Folds({(clip.row.collection, clip.row.source): _fold_of(clip) for clip in clips})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (evenly(0.1), evenly(1.5)),
        ({"talking": 1.2, "stills": 0.6, "ffpp": 0.9}, {"talking": 0.8, "stills": 0.9, "ffpp": 0.7}),
    ],
)
def test_the_chosen_weights_rank_well_in_every_kind(clips, first, second):
    clips = clips[::5]
    members = np.stack([made_logits(clips, 1, first), made_logits(clips, 101, second)], axis=1)
    shares = chosen_shares(clips, members, two_folds(clips), all_of(clips))
    alone = [figures(clips, members[:, column]) for column in range(2)]
    found = figures(clips, shares.mixed(members, are_stills(clips)))
    for kind in KINDS:
        assert found[kind] >= max(own[kind] for own in alone) - LOSS


def test_clips_and_stills_get_weights_of_their_own(clips):
    """The first network alone is good at clips, and says nothing of stills."""
    clips = clips[::5]
    first, second = {"talking": 2.0, "stills": 0.0, "ffpp": 2.0}, {"talking": 0.3, "stills": 2.0, "ffpp": 0.3}
    members = np.stack([made_logits(clips, 1, first), made_logits(clips, 101, second)], axis=1)
    shares = chosen_shares(clips, members, two_folds(clips), all_of(clips))
    assert shares.clips > 0.5 > shares.stills
    best = max(figures(clips, members @ [each, 1.0 - each])["stills"] for each in np.arange(0.05, 1.0, 0.05))
    assert figures(clips, shares.mixed(members, are_stills(clips)))["stills"] >= best - TIE


def test_clips_and_stills_are_calibrated_each_by_themselves(clips):
    members, fake, still = (
        np.stack([made_logits(clips, 1, evenly(1.0))] * 2, axis=1),
        truth(clips),
        are_stills(clips),
    )
    members[still] = 3.0 * members[still] + 2.0
    logits = apart(Shares(0.5, 0.1))(clips, members).logits(members, still)
    chances = 1.0 / (1.0 + np.exp(-logits))
    for own in (still, ~still):
        weights = balanced([clip for clip, each in zip(clips, own, strict=True) if each])
        assert weights @ chances[own] == pytest.approx(0.5, abs=0.01)
        assert weights @ fake[own] == pytest.approx(0.5)
    alike = second_alone(clips, members)
    assert alike.clips == alike.stills


def test_fused_logits_are_calibrated_and_members_weighted_by_the_share(clips):
    members, fake = np.stack([made_logits(clips, 1, evenly(1.0)) * 3.0 + 2.0] * 2, axis=1), truth(clips)
    weights = balanced(clips)
    fusion = fuse(members, fake, weights, 0.3)
    assert fusion.weights == (0.3, 0.7)
    logits = fusion.logits(members)
    np.testing.assert_allclose(logits, fusion.slope * members[:, 0] + fusion.intercept)
    # Calibration brings the mean P(fake) to the share of fakes, here a half.
    assert weights @ (1.0 / (1.0 + np.exp(-logits))) == pytest.approx(0.5, abs=0.01)


def test_kinds_and_labels_count_alike(clips):
    weights = balanced(clips)
    assert weights.sum() == pytest.approx(1.0)
    kinds, fake = np.array([clip.row.collection for clip in clips]), truth(clips)
    for kind in KINDS:
        for label in (False, True):
            assert weights[(kinds == kind) & (fake == label)].sum() == pytest.approx(1 / 6)
    source = np.array([clip.row.source for clip in clips])
    ratio = weights[source == "talking camera"].sum() / weights[source == "talking phone"].sum()
    assert ratio == pytest.approx(np.sqrt(120 / 40))


def test_logits_are_clipped_as_in_a_scan():
    limit = np.log(0.995 / 0.005)
    np.testing.assert_allclose(clipped([-50.0, -1.0, 0.0, 50.0]), [-limit, -1.0, 0.0, limit])


def test_clips_left_out_do_not_move_their_own_calibration_and_thresholds(clips):
    folds, fit = two_folds(clips), apart(Shares(0.4, 0.2))
    members = np.stack([made_logits(clips, 7, evenly(1.5)), made_logits(clips, 8, evenly(1.0))], axis=1)
    fine = np.arange(len(clips)) % 10 > 0
    logits, verdicts = left_out(clips, members, fine, rules(clips, members, folds, fit, fine), folds)
    assert set(np.unique(verdicts)) == {-1, 0, 1}

    own = np.array([folds.fold(clip.row) == "b" for clip in clips])
    watched = np.flatnonzero(own)[::4]
    absurd = members.copy()
    changed = np.setdiff1d(np.flatnonzero(own), watched)
    absurd[changed] = np.where(truth(clips)[changed], -5.0, 5.0)[:, None]
    others = rules(clips, absurd, folds, fit, fine)
    other_logits, other_verdicts = left_out(clips, absurd, fine, others, folds)
    np.testing.assert_array_equal(other_logits[watched], logits[watched])
    np.testing.assert_array_equal(other_verdicts[watched], verdicts[watched])
    # The other folds are fitted on them, and do change.
    assert not np.array_equal(other_logits[~own], logits[~own])


def _fold_of(clip: Clip) -> str:
    return "b" if clip.row.source.split()[1] in ("phone", "sync", "gan") else "a"
