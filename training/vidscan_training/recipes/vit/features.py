"""Caches on disk what the tower computes from views of stored faces; heads are fitted on these features.

A cache is a folder beside the faces with one file for each set of views: ``plain``, ``degraded1`` …, and
``blended1`` … and ``composed1`` … (of real faces alone). A degraded, reduced (as smaller videos show it) or
composed set has every second face, the odd sets those that the even ones leave out, because frames of one
clip are much alike; ``fields1`` …, clips as they are shown when interlaced, have every third. ``mouth-``
before a name is for its mouths.
``reference`` is the plain view of some faces in float32, to measure what 8 bits cost. Each file holds
``float16[faces, depth, 2, 768]``: after every block the class token and the mean patch token. Rows of faces
that a set leaves out are NaN. Finished files are not made again.
"""

from __future__ import annotations

import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vidscan.models.landmarks import FaceLandmarker
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.records import Image
from vidscan.system.files import replacing
from vidscan_training.data.swap_blend import most_alike, shape
from vidscan_training.recipes.vit import views
from vidscan_training.recipes.vit.faces import FaceRow, FaceStore
from vidscan_training.recipes.vit.tower.graph import Precision, features_model
from vidscan_training.recipes.vit.tower.port import WIDTH, Weights
from vidscan_training.recipes.vit.tower.smoothing import activation_maxima, smoothed

DEPTH = 10
"""Blocks whose tokens are kept: with more, the network would not fit into 75 MB."""

GROUP = 128
"""Views made and computed at once."""

DONORS = 40
"""Faces among which a composite's other face is looked for: the one whose pose is most alike."""

WORSE = {"blended": 0.6, "composed": 0.5}
"""Shares of the forged views that are degraded."""

MEASURED = 64
"""Faces on which the channels' maxima are measured for quantisation."""

SHOWN = ("fields", "reduced")
"""Views that differ from the plain one in how the whole clip is shown."""

REFERENCE = "reference"

CLIPS = ("talking", "ffpp")
"""The collections of clips."""

MOUTH = "mouth-"
"""Before a set's name: the mouths of its views. Rows where none was found are NaN."""

Features = npt.NDArray[np.float16]


def evened(store: FaceStore, weights: Weights) -> Weights:
    """The tower's weights, evened out for quantisation by a few of the store's faces, the same every time."""
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(store.rows), MEASURED, replace=False)
    crops = [views.plain(store.picture(row), row) for row in (store.rows[place] for place in chosen)]
    return smoothed(weights, activation_maxima(weights, crops, DEPTH))


def make_views(store: FaceStore, name: str, places: Sequence[int]) -> list[Image]:
    """The views of one set for some of its faces; chance depends on the set and the first place alone."""
    if name.startswith(MOUTH):
        return _mouths(store, name.removeprefix(MOUTH), places)
    generator = np.random.default_rng((zlib.crc32(name.encode()), places[0]))
    if (kind := name.rstrip("0123456789")) in WORSE:
        forged = _forged(store, name, places, generator)
        worse = views.degraded(forged, generator)
        return [
            after if generator.random() < WORSE[kind] else before
            for before, after in zip(forged, worse, strict=True)
        ]
    rows, squares = _shown(store, name, places)
    if name in ("plain", REFERENCE) or name.startswith(SHOWN):
        return [views.plain(square, row) for square, row in zip(squares, rows, strict=True)]
    moved = [views.shifted(square, row, generator) for square, row in zip(squares, rows, strict=True)]
    return views.degraded(moved, generator)


def _shown(store: FaceStore, name: str, places: Sequence[int]) -> tuple[list[FaceRow], list[Image]]:
    """The rows and stored squares, as a scan shows their frames: one field, or fewer pixels."""
    rows = [store.rows[place] for place in places]
    squares = [store.picture(row) for row in rows]
    if name.startswith("fields"):
        return rows, [views.one_field(each) for each in squares]
    if name.startswith("reduced"):
        generator = np.random.default_rng((zlib.crc32(name.encode()), places[0]))
        both = [views.reduced(square, row, generator) for square, row in zip(squares, rows, strict=True)]
        return [row for _, row in both], [square for square, _ in both]
    return rows, squares


def _mouths(store: FaceStore, name: str, places: Sequence[int]) -> list[Image]:
    """The mouths of one set's faces: out of the plain pictures, or of views of the whole face."""
    if name == "plain" or name.startswith(SHOWN):
        return [
            views.mouth(square, row, store.meshes[place])
            for row, square, place in zip(*_shown(store, name, places), places, strict=True)
        ]
    landmarker = FaceLandmarker()
    return [views.mouth_within(face, landmarker) for face in make_views(store, name, places)]


def _forged(
    store: FaceStore, name: str, places: Sequence[int], generator: np.random.Generator
) -> list[Image]:
    """Real faces forged by themselves, or by others'."""
    rows, meshes = store.rows, store.meshes
    if name.startswith("blended"):
        return [
            views.blended(store.picture(rows[place]), rows[place], meshes[place], generator)
            for place in places
        ]
    other = donors(store, name)
    return [
        views.composed(
            store.picture(rows[place]),
            rows[place],
            meshes[place],
            (store.picture(rows[other[place]]), rows[other[place]], meshes[other[place]]),
            generator,
        )
        for place in places
    ]


def donors(store: FaceStore, name: str) -> npt.NDArray[np.int64]:
    """Whose features each face of a set of composites has, ``[faces]``; itself for every other face.

    It is a face of another person, of the same source where that shows several people, in a like pose. Chance
    depends on the set alone.
    """
    found = np.arange(len(store.rows))
    if not name.startswith("composed"):
        return found
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    pools: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place in _meshed(store):
        row = store.rows[place]
        pools[row.collection, row.source].append(place)
        pools[row.collection, ""].append(place)
    shapes = {place: shape(store.meshes[place].astype(np.float32)) for place in _meshed(store)}
    for place in of_set(store, name):
        row = store.rows[place]
        for source in (row.source, ""):
            others = [each for each in pools[row.collection, source] if store.rows[each].person != row.person]
            if others:
                drawn = generator.choice(others, min(DONORS, len(others)), replace=False)
                found[place] = drawn[most_alike(shapes[place], [shapes[int(each)] for each in drawn])]
                break
    return found


def _meshed(store: FaceStore) -> list[int]:
    """The real faces whose mesh was found."""
    meshed = np.isfinite(store.meshes.astype(np.float32)).all(axis=(1, 2))
    return [place for place, row in enumerate(store.rows) if not row.fake and meshed[place]]


def of_set(store: FaceStore, name: str) -> list[int]:
    """The faces of a set: all, every second, every third of clips (``fields``), or real ones with a mesh."""
    name = name.removeprefix(MOUTH)
    if name.startswith("fields"):
        number = int(name.removeprefix("fields"))
        return [place for place, row in enumerate(store.rows) if row.collection in CLIPS][number % 3 :: 3]
    if (kind := name.rstrip("0123456789")) in ("degraded", "reduced"):
        return list(range(int(name.removeprefix(kind)) % 2, len(store.rows), 2))
    if name == REFERENCE:
        return [place for place, row in enumerate(store.rows) if row.collection in ("talking", "stills")][::3]
    if name.startswith("composed"):
        return _meshed(store)[int(name.removeprefix("composed")) % 2 :: 2]
    return _meshed(store) if name.startswith("blended") else list(range(len(store.rows)))


def cache(store: FaceStore, name: str, weights: Weights) -> Features:
    """The features of the set ``name``, from the disk, or computed and written there.

    ``weights`` are evened out by :func:`evened`, which in float32 changes nothing.
    """
    file = store.path / "features" / f"{name}.npy"
    if file.exists():
        return np.asarray(np.load(file, mmap_mode="r"))
    file.parent.mkdir(exist_ok=True)
    precision: Precision = "float32" if name == REFERENCE else "int8"
    runtime = OnnxRuntime(features_model(weights, range(1, DEPTH + 1), precision))
    found = np.full((len(store.rows), DEPTH, 2, WIDTH), np.nan, np.float16)
    for places, crops in _made(store, name):
        own = runtime.outputs(np.stack(crops)).reshape(len(places), DEPTH, 2, WIDTH)
        seen = np.array([bool(crop.any()) for crop in crops])
        found[places] = np.where(seen[:, None, None, None], own, np.nan)
    with replacing(file) as path:
        np.save(path, found)
    return found


def _made(store: FaceStore, name: str) -> Iterator[tuple[list[int], list[Image]]]:
    """Groups of faces with their views, one group made while the one before is computed."""
    places = of_set(store, name)
    groups = [places[start : start + GROUP] for start in range(0, len(places), GROUP)]
    with ThreadPoolExecutor(1) as maker:
        waiting = deque(maker.submit(make_views, store, name, group) for group in groups[:2])
        for number, group in enumerate(tqdm(groups, desc=name, mininterval=30)):
            crops = waiting.popleft().result()
            if number + 2 < len(groups):
                waiting.append(maker.submit(make_views, store, name, groups[number + 2]))
            yield group, crops


def loaded(path: Path, names: Sequence[str]) -> list[Features]:
    """Cached sets by name; raises FileNotFoundError where one was not made."""
    return [np.load(path / "features" / f"{name}.npy", mmap_mode="r") for name in names]
