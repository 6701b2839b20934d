"""Inspects a ``.keras`` file before Keras opens it.

A ``.keras`` file is a zip archive of ``metadata.json``, ``config.json`` (the layers) and
``model.weights.h5``. Files are untrusted: the configuration may ask Keras to build objects that run code or
read other files, and the archive may be truncated or be something else altogether. Every refusal is one line
that says why and what to do.
"""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from vidscan.errors import ModelError
from vidscan.models.guards.weights import inspect_weights

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
TRAINING = "vidscan/"
"""Begins the names of what a training adds to its ``last.keras``, to go on from."""

_MAX_MEMBERS = 256
_MAX_CONFIG_BYTES = 64 << 20
# EfficientNetB7 with Adam's state takes 0.8 GB.
_MAX_TOTAL_BYTES = 4 << 30
# Keras stores its members uncompressed; recompressed by hand, weights shrink by a tenth.
_MAX_EXPANSION = 50
_EXPANSION_FLOOR_BYTES = 64 << 20
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_TEXT_SHOWN = 80

_MODULES = frozenset(
    """keras keras.activations keras.constraints keras.dtype_policies keras.initializers keras.layers
    keras.losses keras.metrics keras.models keras.optimizers keras.regularizers""".split()  # noqa: SIM905 - a list of quotes is harder to read
)
_INTERNAL_MODULES = ("keras.src.layers.", "keras.src.models.", "keras.src.ops.", "keras.src.dtype_policies.")
"""Modules whose internal names Keras saves: ``Functional``, and what ``ops`` make."""

_REFUSED_CLASSES = {
    "Lambda": "carries code of its own; replace it by a standard layer such as Rescaling, and save again",
    **dict.fromkeys(
        ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
        "runs code that Keras did not write; rebuild the network from standard layers, and save again",
    ),
    **dict.fromkeys(
        ("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization", "FeatureSpace"),
        "reads other files; a network that looks at faces has no use for it",
    ),
}
_PLAIN_VALUES = frozenset(("__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__"))

_FOREIGN_FORMATS = (
    (
        b"\x89HDF\r\n\x1a\n",
        "is an HDF5 file and no .keras file; load it with Keras, and save it under a name in .keras",
    ),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file; run: git lfs pull"),
    (b"<!DOCTYPE", "is a web page; the download went to a page instead of the file"),
    (b"<html", "is a web page; the download went to a page instead of the file"),
    (b"\x80", "is a Python pickle, which can run code when it is read; only .keras files are taken"),
)


def inspect_archive(path: Path) -> tuple[dict[str, Any], int]:
    """Checks a file without Keras.

    Returns the parsed ``config.json``, in which every named object is one of Keras's own, and the number of
    values in the weights file.

    Raises:
        ModelError: the file is missing, incomplete, not a ``.keras`` file, or would unpack to too much.
    """
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            metadata = _read_json(path, archive, METADATA) if METADATA in archive.namelist() else {}
            config = _read_json(path, archive, CONFIG)
            with archive.open(WEIGHTS) as weights:
                if weights.read(8) != _FOREIGN_FORMATS[0][0]:
                    raise ModelError(f"{path}: its {WEIGHTS} is damaged; {_FETCH_AGAIN}")
            count = inspect_weights(path, archive, WEIGHTS)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: the archive is damaged ({error}); {_FETCH_AGAIN}") from error
    version = cut_short(str(metadata.get("keras_version", "")))
    if version.startswith(("1.", "2.")):
        raise ModelError(
            f"{path}: was written by Keras {version}, whose files Keras 3 cannot read; load it there, "
            "save it as .h5, load that with Keras 3, and save it as .keras"
        )
    _check_objects(path, config)
    return config, count


_FETCH_AGAIN = "it is incomplete or was altered: fetch or copy it again"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system says of a checkpoint that cannot be read into a ModelError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file; check the path given with --model") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error


def check_file(path: Path) -> None:
    """Refuses what is no ``.keras`` file by its name, first bytes and end; raises ModelError."""
    with reading(path):
        if path.is_dir():
            raise ModelError(f"{path}: is a folder; name the .keras file in it")
        if path.exists() and not path.is_file():
            raise ModelError(f"{path}: is no ordinary file; copy what it gives into one")
        with path.open("rb") as file:
            start = file.read(32)
        size = path.stat().st_size
    if size == 0:
        raise ModelError(f"{path}: is empty; {_FETCH_AGAIN}")
    for magic, what in _FOREIGN_FORMATS:
        if start.startswith(magic):
            raise ModelError(f"{path}: {what}")
    if path.suffix == ".tflite":
        raise ModelError(
            f"{path}: is a TensorFlow Lite file, which vidscan does not run; export its checkpoint as ONNX, "
            "with: vidscan export --format onnx"
        )
    if not zipfile.is_zipfile(path):
        short = f"holds only {size:,} bytes" if size < 64 << 10 else "is no complete .keras archive"
        raise ModelError(f"{path}: {short}; {_FETCH_AGAIN}")
    if path.suffix != ".keras":
        raise ModelError(f"{path}: its name must end in .keras; rename it if it is a Keras 3 file")


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > _MAX_MEMBERS or len(set(names)) != len(names):
        raise ModelError(f"{path}: holds too many files, or one twice, for a Keras file; refused as unsafe")
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if ".." in parts or member.filename.startswith(("/", "\\")) or ":" in member.filename:
            raise ModelError(
                f"{path}: {cut_short(member.filename)!r} in it points out of the archive; refused as unsafe"
            )
    if CONFIG not in names or WEIGHTS not in names:
        missing = CONFIG if CONFIG not in names else WEIGHTS
        raise ModelError(
            f"{path}: has no {missing}, so Keras 3 did not write it; save it with network.save()"
        )
    _check_places(path, members)
    total = sum(member.file_size for member in members)
    stored = sum(member.compress_size for member in members)
    expands = total > _EXPANSION_FLOOR_BYTES and total > _MAX_EXPANSION * stored
    if total > _MAX_TOTAL_BYTES or expands or archive.getinfo(CONFIG).file_size > _MAX_CONFIG_BYTES:
        raise ModelError(f"{path}: would unpack to {total >> 20:,} MiB; refused as unsafe")
    for name in names:
        if name.startswith(TRAINING):
            raise ModelError(
                f"{path}: is a training that was not finished, for --resume alone: take best.keras beside it"
            )
        if not name.endswith("/") and name not in (CONFIG, WEIGHTS, METADATA):
            raise ModelError(
                f"{path}: holds {cut_short(name)!r}, which a network that looks at faces has no use for; "
                "refused as unsafe: save the network again without it"
            )


def _check_places(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuses members that are not plain files, not written by Keras, or share their bytes with others."""
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or member.flag_bits & _ENCRYPTED:
            raise ModelError(
                f"{path}: {cut_short(member.filename)!r} in it is a link or locked; refused as unsafe"
            )
    ordered = sorted(members, key=lambda member: member.header_offset)
    for member, following in pairwise(ordered):
        least = member.header_offset + _LOCAL_HEADER_BYTES + len(member.filename) + member.compress_size
        if least > following.header_offset:
            raise ModelError(
                f"{path}: {cut_short(member.filename)!r} in it overlaps another file; refused as unsafe"
            )


def _read_json(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """Parses a member; zipfile reads no more of it than the size that was checked."""
    if archive.getinfo(name).file_size > _MAX_CONFIG_BYTES:
        raise ModelError(f"{path}: its {name} is too long; refused as unsafe")
    try:
        document = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its {name} is not readable as JSON; {_FETCH_AGAIN}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: its {name} is no JSON object; {_FETCH_AGAIN}")
    return document


def _check_objects(path: Path, config: dict[str, Any]) -> None:
    """Refuses a configuration that names anything but Keras's own, harmless classes.

    The compile configuration is ignored: it is not read, so a custom loss does no harm.
    """
    for node in _objects({key: value for key, value in config.items() if key != "compile_config"}):
        class_name, module = str(node["class_name"]), node.get("module")
        if class_name in _PLAIN_VALUES:
            continue
        if class_name in _REFUSED_CLASSES or class_name == "__lambda__":
            reason = _REFUSED_CLASSES.get(class_name, _REFUSED_CLASSES["Lambda"])
            shown = "Lambda" if class_name == "__lambda__" else class_name
            raise ModelError(
                f"{path}: its layer {cut_short(_layer_name(node))!r} is a {shown}, which {reason}"
            )
        if not _is_keras_class(class_name, module, node):
            shown = str(node.get("config")) if class_name == "function" else class_name
            origin = str(node.get("registered_name") or module)
            raise ModelError(
                f"{path}: it needs {cut_short(shown)!r} ({cut_short(origin)}), which is no part of "
                "Keras; rebuild the network from standard layers, and save again"
            )
        _check_calls(path, node)


def _check_calls(path: Path, node: dict[str, Any]) -> None:
    """Refuses a layer called on constants: it would run while the network is built, at any size."""
    calls = node.get("inbound_nodes")
    for call in calls if isinstance(calls, list) else ():
        if not any(each["class_name"] == "__keras_tensor__" for each in _objects(call)):
            raise ModelError(
                f"{path}: its layer {cut_short(_layer_name(node))!r} is called on no output of another; "
                "refused as unsafe: rebuild the network, and save again"
            )


def cut_short(text: str) -> str:
    """Shortens untrusted text for a message of one line."""
    return text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields every dict in ``tree`` with a ``class_name``; deep files would exhaust recursion."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def _is_keras_class(class_name: str, module: Any, node: dict[str, Any]) -> bool:
    if not isinstance(module, str):
        return False
    registered = node.get("registered_name")
    if class_name == "function":
        # Activations are the only functions that a network of standard layers refers to.
        return module == "keras.activations"
    if registered not in (None, class_name):
        return False
    # A capital excludes functions, which Keras would look up in the same modules.
    return class_name[:1].isupper() and (module in _MODULES or module.startswith(_INTERNAL_MODULES))


def _layer_name(node: dict[str, Any]) -> str:
    config = node.get("config")
    return str(config.get("name", "")) if isinstance(config, dict) else ""
