"""Inspects the weights of an untrusted ``.keras`` file before Keras does: an HDF5 file in the archive.

HDF5 lets a file point into others (links, external storage, virtual data sets), name filters that are loaded
as plug-ins, and declare arrays far larger than what it stores. Keras writes none of these.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidscan.errors import ModelError
from vidscan.system.files import raising
from vidscan.system.frameworks import import_keras

_MAX_OBJECTS = 100_000
_MAX_ELEMENT_BYTES = 16
_EXPANSION_FLOOR_BYTES = 64 << 20
_MAX_EXPANSION = 50
"""Keras compresses nothing; gzip halves weights at best. Both limits are those of the archive itself."""

_FILTERS = frozenset((1, 2, 3, 32000))
"""HDF5's own deflate, shuffle and checksum, and h5py's LZF: reading these needs no plug-in."""

_SPARE_WEIGHTS = 1 << 20
"""A network may hold this many values, such as seeds, that its file does not list."""


def inspect_weights(path: Path, archive: zipfile.ZipFile, name: str) -> int:
    """Checks the HDF5 member ``name`` of an archive at ``path``; returns the number of values in its arrays.

    No array is read. The member's size was checked before.

    Raises:
        ModelError: it is damaged, or uses a feature that Keras never uses.
    """
    import h5py

    stored = archive.getinfo(name).compress_size
    with tempfile.TemporaryFile() as copy:
        with archive.open(name) as member:
            shutil.copyfileobj(member, copy)
        damaged = f"{path}: its {name} is damaged; it is incomplete or was altered: fetch or copy it again"
        # h5py raises whatever the C library's complaint is mapped to.
        with raising(lambda _: ModelError(damaged), Exception), h5py.File(copy, "r") as weights:
            return _inspect_tree(path, name, weights, stored)


@contextmanager
def weights_of_at_most(count: int) -> Iterator[None]:
    """Refuses a network that needs more weights than its file holds, before memory is allocated for them.

    Raises:
        ModelError: within the block, from the layer that exceeds ``count`` and ``_SPARE_WEIGHTS``.
    """
    layer = import_keras().layers.Layer
    original, wanted = layer.add_weight, 0

    def add_weight(self: Any, shape: Any = None, *arguments: Any, **options: Any) -> Any:
        nonlocal wanted
        wanted += math.prod(shape or ())
        if wanted > count + _SPARE_WEIGHTS:
            raise ModelError(f"its layers ask for {wanted:,} weights or more, but the file holds {count:,}")
        return original(self, shape, *arguments, **options)

    layer.add_weight = add_weight
    try:
        yield
    finally:
        layer.add_weight = original


def _inspect_tree(path: Path, name: str, root: Any, stored: int) -> int:
    import h5py

    def refused(what: str) -> ModelError:
        return ModelError(f"{path}: its {name} {what}, which Keras never writes; refused as unsafe")

    elements, declared, waiting = 0, 0, [root]
    seen = {h5py.h5o.get_info(root.id).addr}
    while waiting:
        group = waiting.pop()
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise refused("points to another place or file")
            entry = group[key]
            address = h5py.h5o.get_info(entry.id).addr
            if address in seen or len(seen) > _MAX_OBJECTS:
                raise refused("holds something twice, or too much")
            seen.add(address)
            if isinstance(entry, h5py.Group):
                waiting.append(entry)
                continue
            if (fault := _fault_of(entry)) is not None:
                raise refused(fault)
            elements += math.prod(entry.shape)
            declared += math.prod(entry.shape) * entry.dtype.itemsize
            if declared > max(_EXPANSION_FLOOR_BYTES, _MAX_EXPANSION * stored):
                raise ModelError(
                    f"{path}: its {name} declares {declared >> 20:,} MiB or more and stores "
                    f"{stored >> 20:,}; refused as unsafe"
                )
    return elements


def _fault_of(entry: Any) -> str | None:
    """Returns what is wrong with an entry that is not a group; the checks open no other file."""
    import h5py

    if not isinstance(entry, h5py.Dataset):
        return "holds a named type"
    if entry.is_virtual or entry.external:
        return "keeps an array in another file"
    if entry.shape is None or entry.dtype.kind not in "fiubV" or entry.dtype.itemsize > _MAX_ELEMENT_BYTES:
        return "holds something other than arrays of numbers"
    properties = entry.id.get_create_plist()
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    return None if filters <= _FILTERS else "asks for a filter of its own"
