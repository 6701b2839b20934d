from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.errors import UsageError
from vidscan_training.crops.folder import CropRow
from vidscan_training.crops.split import SplitOptions, assign_splits, split_record


def row(group, method="original", number=0, split=""):
    label = "real" if method in ("original", "ffhq") else "fake"
    clip = f"{method}_{group}_{number}"
    return CropRow(f"{clip}.png", label, method, group, clip, 0.0, 0.0, 0.0, 9.0, 9.0, 0.9, split)


def people(count, *, with_faceswap=2):
    """Pairs of people: every one has reals and deepfakes, every so many a face swap."""
    rows = []
    for i in range(count):
        rows += [row(f"p{i}"), row(f"p{i}", number=1), row(f"p{i}", "deepfakes")]
        if i % with_faceswap == 0:
            rows.append(row(f"p{i}", "faceswap"))
    return rows


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 25), st.integers(0, 50), st.integers(1, 4))
def test_no_group_is_in_two_splits_and_all_have_both_labels(count, seed, every):
    rows = people(count, with_faceswap=every)
    result = assign_splits(rows, SplitOptions(seed=seed))
    splits = {}
    for before, after in zip(rows, result, strict=True):
        assert before.file == after.file
        assert splits.setdefault(after.group, after.split) == after.split
    assert {(r.split, r.label) for r in result} == {
        (split, label) for split in ("train", "val", "test") for label in ("real", "fake")
    }


def test_a_split_depends_on_the_seed_alone():
    rows = people(12)
    first = assign_splits(rows, SplitOptions(seed=3))
    shuffled = assign_splits(rows[::-1], SplitOptions(seed=3))[::-1]
    assert first == shuffled
    others = {assign_splits(rows, SplitOptions(seed=seed)) for seed in range(5)}
    assert len(others) > 1


def test_every_method_is_in_every_split_where_that_is_possible():
    result = assign_splits(people(17, with_faceswap=2) + [row(f"f{i}", "ffhq") for i in range(50)])
    counts = Counter((r.split, r.method) for r in result)
    assert len(counts) == 3 * 4
    # 50 portraits at 60, 20 and 20 per cent
    assert [counts[split, "ffhq"] for split in ("train", "val", "test")] == pytest.approx([30, 10, 10], abs=2)


def test_stated_splits_are_kept_and_carry_their_group():
    rows = people(10)
    rows[0] = row("p0", split="test")
    rows[5] = row("p1", "deepfakes", split="val")
    result = assign_splits(rows)
    assert {r.split for r in result if r.group == "p0"} == {"test"}
    assert {r.split for r in result if r.group == rows[5].group} == {"val"}


def test_a_group_stated_in_two_splits_is_refused():
    with pytest.raises(UsageError, match="group p0 is in the splits test and train"):
        assign_splits([row("p0", split="test"), row("p0", "deepfakes", split="train"), *people(9)[4:]])


def test_too_few_groups_are_refused():
    with pytest.raises(UsageError, match=r"no group with \w+ faces is left for the split"):
        assign_splits(people(2))


@pytest.mark.parametrize(("val", "test"), [(0.6, 0.4), (-0.1, 0.2)])
def test_impossible_shares_are_refused(val, test):
    with pytest.raises(UsageError):
        SplitOptions(val, test)


def test_a_share_of_nought_makes_no_split():
    result = assign_splits(people(6), SplitOptions(val=0.3, test=0.0))
    assert {r.split for r in result} == {"train", "val"}


def test_the_record_names_people_and_counts_portraits():
    rows = assign_splits(people(10) + [row(f"f{i}", "ffhq") for i in range(20)], SplitOptions(seed=4))
    record = split_record(rows, SplitOptions(seed=4))
    assert record["seed"] == 4
    named = [group for split in ("train", "val", "test") for group in record[split]["groups"]]
    assert sorted(named) == sorted(f"p{i}" for i in range(10))
    assert sum(record[split]["single_clips"] for split in ("train", "val", "test")) == 20
    assert set(record["test"]["groups"]) <= {each.group for each in rows if each.split == "test"}
