from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from made_crops import make_crop_folder

from vidscan.errors import SourceError
from vidscan_training.crops.folder import (
    COLUMNS,
    CropRow,
    open_crop_folder,
    read_geometry,
    read_manifest,
    write_manifest,
)

ROW = CropRow("a.png", "fake", "deepfakes", "p1", "c.mp4", 1.5, 1.0, 2.0, 30.0, 40.0, 0.9, "val")


def lines(tmp_path, *changed):
    """A manifest of ROW and of copies with other values, as text that tests may spoil."""
    path = tmp_path / "manifest.csv"
    write_manifest(path, [ROW, *(dataclasses.replace(ROW, **values) for values in changed)])
    return path


def test_what_is_written_is_read(tmp_path):
    rows = (ROW, dataclasses.replace(ROW, file="ä,b.png", clip="d.mp4", split="", time_s=1 / 3))
    write_manifest(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path / "manifest.csv") == rows


def test_the_split_column_may_be_absent(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text(",".join(COLUMNS[:-1]) + "\na.png,real,original,p,c.mp4,0,0,0,1,1,0.5\n")
    assert read_manifest(path)[0].split == ""


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"file": "b.png", "label": "forged"}, ":3: label is 'forged'"),
        ({"file": "b.png", "w": float("nan")}, ":3: w is 'nan', not a finite number"),
        ({"file": "b.png", "time_s": "soon"}, ":3: time_s is 'soon', not a finite number"),
        ({"file": "b.png", "group": ""}, ":3: group is empty"),
        ({"file": "b.png", "split": "dev"}, ":3: split is 'dev'"),
        ({"file": "a.png"}, ":3: file a.png was on line 2"),
        ({"file": "b.png", "group": "p2"}, ":3: clip c.mp4 was fake/deepfakes/p1, and is fake/deepfakes/p2"),
        ({"file": "b.png", "clip": "d.mp4", "label": "real"}, ":3: method deepfakes was fake"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, values, complaint):
    path = lines(tmp_path, values)
    with pytest.raises(SourceError) as caught:
        read_manifest(path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_columns_and_values_are_named(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("file,label\na.png,fake\n")
    with pytest.raises(SourceError, match="lacks method, group"):
        read_manifest(path)
    path = lines(tmp_path)
    path.write_text(path.read_text() + "b.png,fake\n")
    with pytest.raises(SourceError, match=":3: the number of values"):
        read_manifest(path)


@pytest.mark.parametrize("content", [None, "", ",".join(COLUMNS) + "\n"])
def test_no_manifest_or_an_empty_one_is_refused(tmp_path, content):
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceError, match=r"manifest\.csv"):
        read_manifest(path)


@pytest.mark.parametrize("text", ["", "[]", '{"margin": 1.4}', '{"input_size": 0, "margin": 1.4}'])
def test_a_geometry_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "crops.json").write_text(text)
    with pytest.raises(SourceError, match=r"crops\.json"):
        read_geometry(tmp_path / "crops.json")


def test_a_folder_is_opened_whole(tmp_path):
    folder = open_crop_folder(make_crop_folder(tmp_path / "crops"))
    assert folder.geometry.margin == 1.4
    assert folder.landmarks is not None
    assert folder.landmarks.shape == (len(folder.rows), 468, 2)


def test_a_missing_picture_and_a_wrong_number_of_landmarks_are_found(tmp_path):
    path = make_crop_folder(tmp_path / "crops")
    np.save(path / "landmarks.npy", np.zeros((3, 468, 2), np.float16))
    with pytest.raises(SourceError, match=r"landmarks\.npy has shape \(3, 468, 2\)"):
        open_crop_folder(path)
    (path / "landmarks.npy").unlink()
    assert open_crop_folder(path).landmarks is None
    (path / read_manifest(path / "manifest.csv")[4].file).unlink()
    with pytest.raises(SourceError, match=r"manifest\.csv:6: .* does not exist"):
        open_crop_folder(path)


def test_the_geometry_is_what_was_written(tmp_path):
    (tmp_path / "crops.json").write_text(json.dumps({"input_size": 260, "margin": 1.3, "vidscan": "9"}))
    geometry = read_geometry(tmp_path / "crops.json")
    assert (geometry.input_size, geometry.margin, geometry.vidscan) == (260, 1.3, "9")
