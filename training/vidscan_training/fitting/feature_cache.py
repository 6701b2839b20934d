"""Caches what a frozen base makes of every view of every crop, so that a head can be trained without it.

The base sees each training crop, and each forgery that can be made of it, in a fixed number of augmented
copies, and each validation crop as it is. What is kept is the output of the last global pooling, in
float32: half of it would do for training, but so validation is the same to the last bit as without a cache,
and a view takes a few kilobytes either way.

The file lies beside the crops, so that runs share it: ``features/KEY.npz``. Its name is a SHA-256 over all
that its content follows from, so it cannot be out of date, only unused; it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
import zlib
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan import __version__
from vidscan.errors import ModelError, SourceError, UsageError
from vidscan.system.files import replacing, sha256_of
from vidscan_training.crops.folder import CropFolder, CropRow
from vidscan_training.crops.reader import in_order
from vidscan_training.data.augment_presets import PRESETS
from vidscan_training.data.batches import Batch, Views
from vidscan_training.data.draw import Sampler
from vidscan_training.data.forge import Forgery
from vidscan_training.fitting.network import feature_part
from vidscan_training.fitting.options import FitOptions
from vidscan_training.fitting.validation import Validation

FOLDER = "features"

_CODE = (
    "data/augment",
    "data/augment_presets",
    "data/h264",
    "data/batches",
    "fitting/feature_cache",
    "data/forge",
    "crops/landmarks",
    "crops/reader",
    "data/draw",
    "data/self_blend",
    "data/swap_blend",
)
"""The code that makes a view. Between two releases it may change under the same version number."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the base made of all views.

    ``train``: ``float32[views, copies, channels]`` in the order of :func:`views_to_cache`; ``val``:
    ``float32[rows, channels]`` in the order of the validation's rows.
    """

    train: npt.NDArray[np.float32]
    val: npt.NDArray[np.float32]


class FeatureBatches:
    """Training batches out of cached features, drawn as :class:`.data.batches.TrainingBatches` draws."""

    def __init__(self, sampler: Sampler, train: npt.NDArray[np.float32]) -> None:
        """Looks up where each view lies in ``train`` (see :class:`Features`)."""
        self.sampler, self._train = sampler, train
        self._place = np.full((len(Forgery), len(sampler.target)), -1, np.int64)
        for place, (forgery, row) in enumerate(views_to_cache(sampler)):
            self._place[forgery, row] = place

    def batch(self, step: int) -> Batch:
        """Draws batch number ``step``; a forgery has the same copy number, and so look, as its real twin."""
        drawn = self.sampler.draw(step)
        copy = drawn.look % self._train.shape[1]
        features = self._train[self._place[drawn.forgery, drawn.row], copy]
        return Batch(features, drawn.target, drawn.weight)

    def stream(self, start: int, stop: int, *, workers: int = 0) -> Generator[Batch, None, None]:
        """Yields batches ``start`` to ``stop - 1``; ``workers`` is ignored, as nothing has to be read."""
        return (self.batch(step) for step in range(start, stop))


def views_to_cache(sampler: Sampler) -> list[tuple[Forgery, int]]:
    """Every pair of forgery and row that ``sampler`` may draw."""
    rows, sampling, forger = sampler.rows.tolist(), sampler.sampling, sampler.forger
    views = [(Forgery.NONE, row) for row in rows]
    for forgery, share in (
        (Forgery.SELF_BLEND, sampling.self_blend),
        (Forgery.SWAP_BLEND, sampling.swap_blend),
    ):
        if forger is not None and share > 0:
            views += [(forgery, row) for row in rows if forger.can(row)]
    return views


def load_or_make_features(
    options: FitOptions,
    folder: CropFolder,
    sampler: Sampler,
    validation: Validation,
    network: Any,
    exact: Any,
) -> Features:
    """Reads the features from the crop folder, or makes and stores them.

    ``exact`` is ``network`` in float32, which validation is scored with.

    Raises:
        UsageError: the head is given a map of features, not a vector; or the file cannot be written.
        SourceError: a crop cannot be read.
        ModelError: the base puts out something that is no number.
    """
    if len(feature_part(network).output_shape) != 2:
        raise UsageError("--cache-features needs a head that begins with a global average pooling")
    path = folder.path / FOLDER / f"{feature_key(options, folder, sampler, validation, network)}.npz"
    views = views_to_cache(sampler)
    features = _read_features(path, (len(views), options.cache_features), len(validation.rows))
    if features is not None:
        print(f"features of {len(views)} views read from {path}", file=sys.stderr)
        return features
    pictures = Views(folder, sampler, PRESETS[options.augmentation])
    features = Features(
        _compute_features(feature_part(network), pictures, views, options),
        validation.outputs(feature_part(exact)),
    )
    if not (np.isfinite(features.train).all() and np.isfinite(features.val).all()):
        raise ModelError("the base puts out infinite features: it is damaged, or needs --precision float32")
    _write_features(path, features)
    return features


def feature_key(
    options: FitOptions, folder: CropFolder, sampler: Sampler, validation: Validation, network: Any
) -> str:
    """SHA-256 over all that the features follow from, as 64 hexadecimal digits.

    Pictures go in by content, not by size and time: a second for a few thousand crops, while times change
    with every copy to another machine and need not change with a picture.
    """
    places = sorted({*(int(row) for row in sampler.rows), *validation.places})
    source = Path(__file__).parents[1]
    facts = {
        "vidscan": __version__,
        "code": [sha256_of(source / f"{name}.py") for name in _CODE],
        "base": _base_digest(network),
        "geometry": asdict(folder.geometry),
        "crops": [_crop_facts(folder, place) for place in places],
        "train": [int(row) for row in sampler.rows],
        "val": list(validation.places),
        "landmarks": None if folder.landmarks is None else _digest(folder.landmarks),
        "split": asdict(options.split),
        "augmentation": asdict(PRESETS[options.augmentation]),
        "match_resolution": dict(sampler.sampling.match_resolution),
        "blended": [sampler.sampling.self_blend, sampler.sampling.swap_blend],
        "seed": options.seed,
        "copies": options.cache_features,
        "precision": options.precision,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _crop_facts(folder: CropFolder, place: int) -> list[Any]:
    row: CropRow = folder.rows[place]
    path = folder.image_path(row)
    try:
        return [place, asdict(row), sha256_of(path)]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def _base_digest(network: Any) -> str:
    """SHA-256 of the layers up to the pooling and their weights."""
    base = feature_part(network)
    return hashlib.sha256(
        "".join([base.to_json(), *(_digest(array) for array in base.get_weights())]).encode()
    ).hexdigest()


def _digest(array: npt.NDArray[Any]) -> str:
    described = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()


def _compute_features(
    base: Any, pictures: Views, views: Sequence[tuple[Forgery, int]], options: FitOptions
) -> npt.NDArray[np.float32]:
    """``float32[views, copies, channels]``: what ``base`` makes of each view."""
    from tqdm import tqdm

    size = options.sampling.batch_size
    wanted = [(*view, copy) for view in views for copy in range(options.cache_features)]

    def batch(start: int) -> npt.NDArray[np.float32]:
        images, looks = [], []
        for forgery, row, copy in wanted[start : start + size]:
            # The look belongs to row and copy alone, so that twins differ by the forgery alone.
            look = int(np.random.default_rng([options.seed, row, copy, 0]).integers(0, 2**63))
            rng = np.random.default_rng([options.seed, row, copy, 1, int(forgery)])
            images.append(pictures(row, forgery, look, rng)[0])
            looks.append(look)
        padded = np.zeros((size, *base.input_shape[1:]), np.float32)
        padded[: len(images)] = np.stack(pictures.compressed(images, looks))
        return padded

    print(f"making features of {len(wanted)} pictures …", file=sys.stderr, flush=True)
    batches = in_order(batch, range(0, len(wanted), size), workers=options.workers)
    found = [
        np.asarray(base.predict_on_batch(padded), np.float32)
        for padded in tqdm(batches, total=-(-len(wanted) // size), unit="batch", disable=None, leave=False)
    ]
    return np.concatenate(found)[: len(wanted)].reshape(len(views), options.cache_features, -1)


def _read_features(path: Path, shape: tuple[int, int], val_rows: int) -> Features | None:
    """The features in ``path``; None where there are none, or with a line where they are damaged."""
    if not path.is_file():
        return None
    try:
        # Reading a member to its end checks its checksum.
        with np.load(path, allow_pickle=False) as arrays:
            features = Features(arrays["train"], arrays["val"])
        if features.train.shape[:-1] != shape or len(features.val) != val_rows:
            raise ValueError("its arrays have other shapes")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        print(f"{path} is damaged ({error}) and is made again", file=sys.stderr)
        return None
    return features


def _write_features(path: Path, features: Features) -> None:
    """Writes the file in one step: a crash leaves none, never half of one."""
    try:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as partial:
            np.savez(partial, train=features.train, val=features.val)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}): --cache-features keeps its file beside the crops"
        ) from error
