"""Checkpoints from strangers: archives that are no plain ``.keras`` file, and Keras's known unsafe loading.

The published holes are in test_model.py too, as forms of a configuration; here each has a file whose payload
is shown to work where the guard, and Keras's safe mode, are left out.
"""

from __future__ import annotations

import json
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vidscan.errors import ModelError
from vidscan.models.checkpoint import load_model
from vidscan.system.frameworks import import_keras


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_checkpoint, tmp_path / "stranger.keras"))


def refused(path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one short line that names the file, and before Keras sees it."""
    with monkeypatch.context() as context:
        context.setattr(
            import_keras().saving, "load_model", lambda *a, **k: pytest.fail("Keras got the file")
        )
        with pytest.raises(ModelError, match=pattern) as caught:
            load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < len(str(path)) + 400


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def reconfigured(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    members = members_of(path)
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    return path


def with_layer(path: Path, layer: dict[str, Any]) -> Path:
    """The network with one more layer, of which nothing is asked."""
    return reconfigured(path, lambda config: config["config"]["layers"].append(layer))


# Archives


def add(path: Path, name: str, data: bytes, mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return path


def test_link_in_the_archive_is_refused(checkpoint, monkeypatch):
    refused(add(checkpoint, "metadata2", b"/etc/passwd", 0o120777), "is a link or locked", monkeypatch)


@pytest.mark.parametrize("name", ["assets/vocabulary.txt", "payload.pkl", "inner.keras", "model.weights.npz"])
def test_whatever_else_is_in_the_archive_is_refused(checkpoint, name, monkeypatch):
    refused(add(checkpoint, name, b"x"), "has no use for; refused as unsafe", monkeypatch)


def test_an_unfinished_training_names_the_network_beside_it(checkpoint, monkeypatch):
    refused(add(checkpoint, "vidscan/state.json", b"{}"), "take best.keras beside it", monkeypatch)


def test_bomb_within_a_bomb_is_refused_by_its_name(checkpoint, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "inner.zip", "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("zeros", bytes(60 << 20))
    refused(add(checkpoint, "assets/inner.zip", (tmp_path / "inner.zip").read_bytes()), "no use", monkeypatch)


def test_entries_that_share_their_bytes_are_refused(checkpoint, monkeypatch):
    """D. Fifield's bomb of 2019: many names for one compressed kernel."""
    data = bytearray(add(checkpoint, "metadata2", b"{}").read_bytes())
    central = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    offsets = [struct.unpack_from("<I", data, at + 42)[0] for at in central]
    struct.pack_into("<I", data, central[-1] + 42, offsets[0] + 1)
    checkpoint.write_bytes(data)
    refused(checkpoint, "overlaps another file", monkeypatch)


def test_locked_member_is_refused(checkpoint, monkeypatch):
    data = bytearray(checkpoint.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    checkpoint.write_bytes(data)
    refused(checkpoint, "is a link or locked", monkeypatch)


def test_size_that_is_a_lie_is_found(checkpoint, monkeypatch):
    data = bytearray(checkpoint.read_bytes())
    for at in (at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"):
        struct.pack_into("<I", data, at + 24, 10)
    checkpoint.write_bytes(data)
    refused(checkpoint, "damaged|not readable", monkeypatch)


def test_pipe_is_not_waited_for(make_pipe, tmp_path, monkeypatch):
    make_pipe(tmp_path / "pipe.keras")
    refused(tmp_path / "pipe.keras", "is no ordinary file", monkeypatch)


def test_name_that_is_too_long(tmp_path, monkeypatch):
    refused(tmp_path / ("x" * 300 + ".keras"), "File name too long", monkeypatch)


def test_long_hostile_names_are_cut_short(checkpoint, monkeypatch):
    layer = {"module": "os", "class_name": "\x1b[31m" * 500, "config": {"name": "n" * 5000}}
    refused(with_layer(checkpoint, layer), "which is no part of Keras", monkeypatch)


# Published holes


def test_lambda_of_cve_2024_3660(tmp_path, monkeypatch):
    """Code in a Lambda layer, as Python byte code."""
    keras, mark = import_keras(), tmp_path / "mark"
    place = str(mark)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])(inputs)  # noqa: PTH123
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, x).save(tmp_path / "lambda.keras")
    mark.unlink()
    refused(tmp_path / "lambda.keras", "carries code of its own", monkeypatch)
    assert not mark.exists()
    keras.saving.load_model(tmp_path / "lambda.keras", safe_mode=False)
    assert mark.exists()


def test_legacy_file_under_another_name_of_cve_2025_9905(tmp_path, monkeypatch):
    """HDF5 files know no safe mode: the same code in one, called a ``.keras`` file."""
    keras, mark = import_keras(), tmp_path / "mark"
    place = str(mark)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])(inputs)  # noqa: PTH123
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)).save(tmp_path / "legacy.h5")
    mark.unlink()
    disguised = Path(shutil.copy(tmp_path / "legacy.h5", tmp_path / "legacy.keras"))
    refused(disguised, "is an HDF5 file and no .keras file", monkeypatch)
    refused(tmp_path / "legacy.h5", "is an HDF5 file and no .keras file", monkeypatch)
    keras.saving.load_model(tmp_path / "legacy.h5", safe_mode=False)
    assert mark.exists()


def test_file_read_by_a_lookup_of_cve_2025_12058(checkpoint, tmp_path, monkeypatch):
    """A vocabulary that is a path: the file's lines become part of the network."""
    keras, secret = import_keras(), tmp_path / "secret.txt"
    secret.write_text("top\nsecret\n")
    read = keras.layers.StringLookup.from_config({"vocabulary": str(secret)})
    assert "secret" in read.get_vocabulary()
    original = checkpoint.read_bytes()
    for module, name in (
        ("keras.layers", "StringLookup"),
        ("keras.layers", "IntegerLookup"),
        ("keras.layers", "TextVectorization"),
        ("keras.src.layers.preprocessing.index_lookup", "IndexLookup"),
        ("keras.src.layers.preprocessing.string_lookup", "StringLookup"),
    ):
        checkpoint.write_bytes(original)
        layer = {"module": module, "class_name": name, "config": {"name": "x", "vocabulary": str(secret)}}
        refused(with_layer(checkpoint, layer), "reads other files", monkeypatch)


def test_archive_unpacked_on_loading_of_cve_2025_8747_and_12060(checkpoint, tmp_path, monkeypatch):
    """``get_file`` called from the configuration fetches an archive and unpacks it."""
    keras = import_keras()
    with tarfile.open(tmp_path / "payload.tar", "w") as archive:
        archive.add(__file__, "payload.py")
    (tmp_path / "cache").mkdir()
    arguments = {
        "origin": (tmp_path / "payload.tar").as_uri(),
        "extract": True,
        "cache_dir": str(tmp_path / "cache"),
    }
    for module, name in (("keras.utils", "get_file"), ("keras.src.utils.file_utils", "get_file")):
        layer = {"module": module, "class_name": name, "config": arguments}
        refused(with_layer(checkpoint, layer), "is no part of Keras", monkeypatch)
    assert not list((tmp_path / "cache").iterdir())
    keras.utils.get_file("payload.tar", **arguments)
    assert list((tmp_path / "cache").rglob("payload*"))


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["true"]}},
        {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"},
        {"module": "keras.models", "class_name": "function", "config": "load_model"},
        {"module": "keras.saving", "class_name": "function", "config": "load_model"},
        {"module": "keras.src.saving.saving_lib", "class_name": "H5IOStore", "config": {}},
        {"module": "keras.src.legacy.layers", "class_name": "Alpha", "config": {}},
        {"module": "keras.layers.os", "class_name": "System", "config": {}},
        {"module": "keras.utils", "class_name": "PyDataset", "config": {}},
        {"module": "keras.tree", "class_name": "MAP_TO_NONE", "config": {}},
    ],
    ids=lambda layer: f"{layer['module']}.{layer['class_name']}",
)
def test_names_reached_for_by_cve_2025_1550_8747_and_9906(layer, checkpoint, monkeypatch):
    refused(with_layer(checkpoint, layer), "is no part of Keras", monkeypatch)


def test_safe_mode_is_on_when_keras_gets_the_file(checkpoint, monkeypatch):
    keras, asked = import_keras(), {}
    real = keras.saving.load_model
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: (asked.update(k), real(*a, **k))[1])
    load_model(checkpoint)
    assert asked == {"compile": False, "safe_mode": True}


# Networks that fill the memory


def test_layer_wider_than_its_weights_is_refused_before_memory_is_taken(checkpoint):
    def widen(config: dict[str, Any]) -> None:
        dense = config["config"]["layers"][-1]
        assert dense["class_name"] == "Dense"
        dense["config"]["units"] = 10**11

    reconfigured(checkpoint, widen)
    with pytest.raises(
        ModelError, match=r"layers ask for 300,000,000,000 weights or more, but the file holds 4"
    ):
        load_model(checkpoint)


def test_crops_larger_than_any_picture_are_refused(tmp_path):
    keras = import_keras()
    inputs = keras.Input((5000, 5000, 3))
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, x).save(tmp_path / "large.keras")
    with pytest.raises(ModelError, match="takes crops of 5,000 pixels, and 4,096 is the most"):
        load_model(tmp_path / "large.keras")


@pytest.mark.parametrize("nested", [False, True])
def test_layer_that_blows_a_crop_up_is_refused(tmp_path, nested):
    keras = import_keras()
    inputs = keras.Input((32, 32, 3))
    grown = keras.layers.UpSampling2D(1000, name="bomb")
    x = keras.Sequential([keras.Input((32, 32, 3)), grown])(inputs) if nested else grown(inputs)
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, x).save(tmp_path / "bomb.keras")
    with pytest.raises(ModelError, match="puts out 3,072,000,000 numbers a crop; refused as unsafe"):
        load_model(tmp_path / "bomb.keras")


def test_layer_called_on_constants_is_refused(checkpoint, monkeypatch):
    """It would be run at once, and this one make a picture of 4 TB."""
    call = {"args": [[[[[1.0]]]]], "kwargs": {}}
    layer = {
        "module": "keras.layers",
        "class_name": "UpSampling2D",
        "config": {"name": "bomb", "size": [1_000_000, 1_000_000]},
        "name": "bomb",
        "inbound_nodes": [call],
    }
    refused(with_layer(checkpoint, layer), "'bomb' is called on no output of another", monkeypatch)
