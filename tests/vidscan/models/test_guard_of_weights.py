"""The weights of a stranger's checkpoint: every trick of HDF5 is refused before Keras sees the file.

Each crafted file is shown to work first, where that can be seen: h5py reads through it what it should not.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidscan.errors import ModelError
from vidscan.models.checkpoint import load_model
from vidscan.system.frameworks import import_keras

KERNEL = "layers/dense/vars/0"
SECRET = np.array([[1.5], [2.5], [3.5]], np.float32)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A sound one without a card."""
    return Path(shutil.copy(tiny_checkpoint, tmp_path / "stranger.keras"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Another file of the user's, with numbers that somebody would like to see."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["numbers"] = SECRET
    SECRET.tofile(tmp_path / "secret.bin")
    return tmp_path / "secret.h5"


def craft(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Changes the weights in the archive at ``path``."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as weights:
        change(weights)
    members["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


def read_through(path: Path, name: str = KERNEL) -> np.ndarray:
    """What a reader without a guard gets."""
    with zipfile.ZipFile(path) as archive:
        unpacked = Path(archive.extract("model.weights.h5", path.parent))
    with h5py.File(unpacked) as weights:
        return np.asarray(weights[name])


def refused(path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        import_keras().saving, "load_model", lambda *a, **k: pytest.fail("Keras got the file")
    )
    with pytest.raises(ModelError, match=pattern) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_an_untouched_copy_is_taken(checkpoint):
    craft(checkpoint, lambda weights: None)
    assert load_model(checkpoint).card.input_size == 32


def test_link_to_another_file(checkpoint, secret, monkeypatch):
    """CVE-2026-1669 and its kin: an external link reads any HDF5 file of the user's."""

    def link(weights: h5py.File) -> None:
        del weights[KERNEL]
        weights[KERNEL] = h5py.ExternalLink(str(secret), "numbers")

    craft(checkpoint, link)
    np.testing.assert_array_equal(read_through(checkpoint), SECRET)
    refused(checkpoint, "points to another place or file", monkeypatch)


def test_link_within_the_file(checkpoint, monkeypatch):
    def link(weights: h5py.File) -> None:
        weights["layers/dense/vars/2"] = h5py.SoftLink("/" + KERNEL)

    craft(checkpoint, link)
    assert read_through(checkpoint, "layers/dense/vars/2").shape == (3, 1)
    refused(checkpoint, "points to another place or file", monkeypatch)


def test_array_stored_in_any_file(checkpoint, secret, monkeypatch):
    """CVE-2026-1669: external storage reads the bytes of any file at all."""

    def store(weights: h5py.File) -> None:
        del weights[KERNEL]
        outside = [(str(secret.with_suffix(".bin")), 0, SECRET.nbytes)]
        weights.create_dataset(KERNEL, SECRET.shape, SECRET.dtype, external=outside)

    craft(checkpoint, store)
    np.testing.assert_array_equal(read_through(checkpoint), SECRET)
    refused(checkpoint, "keeps an array in another file", monkeypatch)


def test_virtual_array(checkpoint, secret, monkeypatch):
    def map_in(weights: h5py.File) -> None:
        del weights[KERNEL]
        layout = h5py.VirtualLayout(SECRET.shape, SECRET.dtype)
        layout[:] = h5py.VirtualSource(str(secret), "numbers", SECRET.shape)
        weights.create_virtual_dataset(KERNEL, layout)

    craft(checkpoint, map_in)
    np.testing.assert_array_equal(read_through(checkpoint), SECRET)
    refused(checkpoint, "keeps an array in another file", monkeypatch)


@pytest.mark.parametrize("arrays", [1, 40])
def test_arrays_that_declare_more_than_they_store(checkpoint, arrays, monkeypatch):
    """One of a terabyte, or many that stay below Keras's own limit of 4 GiB each."""

    def declare(weights: h5py.File) -> None:
        side = 500_000 if arrays == 1 else 30_000
        for number in range(arrays):
            weights.create_dataset(f"bomb{number}", (side, side), "f4", chunks=(1000, 1000))

    craft(checkpoint, declare)
    assert checkpoint.stat().st_size < 1 << 20
    refused(checkpoint, r"declares [\d,]+ MiB or more and stores 0; refused", monkeypatch)


def test_group_that_contains_itself(checkpoint, monkeypatch):
    def circle(weights: h5py.File) -> None:
        weights["layers/dense/again"] = weights["layers"]

    craft(checkpoint, circle)
    assert read_through(checkpoint, "layers/dense/again/dense/again/dense/vars/0").shape == (3, 1)
    refused(checkpoint, "holds something twice", monkeypatch)


def test_other_content(checkpoint, tmp_path, monkeypatch):
    whole = checkpoint.read_bytes()
    changes: dict[str, Callable[[h5py.File], object]] = {
        "other than arrays": lambda weights: weights.create_dataset("text", data=["a", "b"]),
        "other than arrays of numbers": lambda weights: weights.create_dataset("none", data=h5py.Empty("f4")),
        "named type": lambda weights: weights.__setitem__("type", np.dtype("f4")),
        "other than": lambda weights: weights.create_dataset("big", (2,), np.dtype("V4096")),
    }
    for pattern, change in changes.items():
        checkpoint.write_bytes(whole)
        craft(checkpoint, change)
        with monkeypatch.context() as context:
            refused(checkpoint, pattern, context)


def test_filter_that_would_load_a_plug_in(checkpoint, monkeypatch):
    def ask(weights: h5py.File) -> None:
        space = h5py.h5s.create_simple((4,))
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        h5py.h5d.create(weights.id, b"filtered", h5py.h5t.IEEE_F32LE, space, properties)

    craft(checkpoint, ask)
    refused(checkpoint, "asks for a filter of its own", monkeypatch)


def test_compression_that_h5py_has_is_taken(checkpoint):
    def compress(weights: h5py.File) -> None:
        kernel = weights[KERNEL][:]
        del weights[KERNEL]
        weights.create_dataset(KERNEL, data=kernel, compression="gzip", shuffle=True)

    craft(checkpoint, compress)
    assert load_model(checkpoint).card.input_size == 32


@pytest.mark.parametrize("cut", [0.3, 0.7])
def test_weights_that_are_cut_short(checkpoint, cut, monkeypatch):
    with zipfile.ZipFile(checkpoint) as old:
        members = {name: old.read(name) for name in old.namelist()}
    data = members["model.weights.h5"]
    members["model.weights.h5"] = data[: int(len(data) * cut)]
    with zipfile.ZipFile(checkpoint, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    refused(checkpoint, r"its model\.weights\.h5 is damaged", monkeypatch)
