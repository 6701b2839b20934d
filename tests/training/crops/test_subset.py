from __future__ import annotations

import numpy as np
import pytest
from made_crops import make_crop_folder
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.reader import CropReader
from vidscan_training.crops.split import assign_splits
from vidscan_training.crops.subset import subset


def test_a_subset_shows_some_of_the_same_crops(tmp_path):
    crops = make_crop_folder(tmp_path / "crops")
    whole = open_crop_folder(crops)
    split = {row.file: row.split for row in assign_splits(whole.rows)}
    small = open_crop_folder(subset(crops, tmp_path / "new" / "small", {"train": 10, "val": 6}))
    counts = {(name, label): 0 for name in ("train", "val", "test") for label in ("real", "fake")}
    reader, whole_reader = CropReader(small), CropReader(whole)
    places = {row.file: place for place, row in enumerate(whole.rows)}
    for place, row in enumerate(small.rows):
        counts[row.split, row.label] += 1
        assert row.split == split[row.file]
        assert np.array_equal(reader(place), whole_reader(places[row.file]))
        np.testing.assert_array_equal(small.landmarks[place], whole.landmarks[places[row.file]])
    assert list(counts.values()) == [5, 5, 3, 3, 0, 0]
    assert small.geometry == whole.geometry


def test_a_split_gives_no_more_than_it_has_and_the_seed_chooses(tmp_path):
    crops = make_crop_folder(tmp_path / "crops")
    subset(crops, tmp_path / "all", {"val": 1000})
    rows = open_crop_folder(tmp_path / "all").rows
    assert len(rows) == sum(row.split == "val" for row in assign_splits(open_crop_folder(crops).rows))
    chosen = []
    for seed in (0, 0, 1):
        target = tmp_path / f"seed{len(chosen)}"
        chosen.append(open_crop_folder(subset(crops, target, {"train": 8}, seed=seed)).rows)
    assert chosen[0] == chosen[1] != chosen[2]


def test_nothing_is_overwritten(tmp_path):
    crops = make_crop_folder(tmp_path / "crops")
    with pytest.raises(FileExistsError):
        subset(crops, crops, {"train": 8})
