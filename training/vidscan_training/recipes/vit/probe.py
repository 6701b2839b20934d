"""The head: one linear layer over class and mean patch tokens of a few blocks, fitted on cached features.

It is a logistic regression, weighted so that no source dominates. An optional penalty makes its answer depend
less on which source of its label a face comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan_training.recipes.vit.tower.graph import Head

Array = npt.NDArray[np.float32]

FORGED = ("blended", "composed")
"""Views of real faces that were forged here; the source of one is named by these and the face's source."""

ITERATIONS = 150
"""Of the optimiser, at most."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How a head is fitted; every value was chosen on sources left out (see the table in training/README.md).

    ``taps``: blocks that are read. ``l2``: penalty on the standardised weights. ``evenness``: how alike
    sources of one label count, from 0 (by their people) to 1 (each the same). ``forged``: share of the
    fakes' weight that self-blends and composites have. ``degraded``, ``fields`` and ``reduced``: the weight
    of a degraded view, of one of interlaced video and of one of a smaller face, beside a plain one of the
    same person. ``drift``: penalty on the variance of the sources' mean logits within a label.
    """

    taps: tuple[int, ...] = (6, 8, 10)
    l2: float = 1e-3
    evenness: float = 0.5
    forged: float = 0.1
    degraded: float = 0.02
    fields: float = 0.02
    reduced: float = 0.02
    drift: float = 0.0

    def weight(self, kind: str) -> float:
        """The weight of a view of one kind beside a plain one of the same person."""
        return {"degraded": self.degraded, "fields": self.fields, "reduced": self.reduced}.get(kind, 1.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a head is fitted on: one row a view.

    ``source`` and ``person`` name what it counts with, ``kind`` is how the view was made.
    """

    features: Array
    fake: npt.NDArray[np.bool_]
    source: Sequence[str]
    person: Sequence[str]
    kind: Sequence[str]


def sample_weights(sample: Sample, options: ProbeOptions) -> Array:
    """Weights that add up to 1: half for each label, within it by source, within a source equal by person."""
    weights = np.zeros(len(sample.fake), np.float64)
    rows: dict[tuple[bool, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, (fake, source, person) in enumerate(
        zip(sample.fake, sample.source, sample.person, strict=True)
    ):
        rows[bool(fake), source][person].append(place)
    say = {key: float(len(people)) ** (1.0 - options.evenness) for key, people in rows.items()}
    for key, people in rows.items():
        fake, source = key
        alike = [
            each
            for each in say
            if each[0] == fake and (each[1].startswith(FORGED) == source.startswith(FORGED))
        ]
        share = say[key] / sum(say[each] for each in alike)
        if fake and any(each[1].startswith(FORGED) for each in say if each[0]):
            share *= options.forged if source.startswith(FORGED) else 1.0 - options.forged
        for places in people.values():
            own = np.array([options.weight(sample.kind[place]) for place in places])
            weights[places] = 0.5 * share / len(people) * own / own.sum()
    return np.asarray(weights / weights.sum(), np.float32)


def fit(sample: Sample, options: ProbeOptions) -> tuple[Array, float]:
    """Fits kernel and bias, ``float32[features]`` and a number, in the features' own scale."""
    from scipy.optimize import minimize

    weights = sample_weights(sample, options)
    mean = weights @ sample.features
    deviation = np.sqrt(np.maximum(weights @ np.square(sample.features) - np.square(mean), 1e-8))
    scaled = (sample.features - mean) / deviation
    sign = np.where(sample.fake, 1.0, -1.0).astype(np.float32)
    away = (
        _source_drift(scaled, sample, weights) * np.float32(np.sqrt(options.drift)) if options.drift else None
    )

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        kernel, bias = parameters[:-1].astype(np.float32), np.float32(parameters[-1])
        margin = sign * (scaled @ kernel + bias)
        pull = -weights * sign * (1.0 / (1.0 + np.exp(np.clip(margin, -40, 40))))
        value = float(weights @ np.logaddexp(0.0, -margin)) + options.l2 * float(kernel @ kernel)
        gradient = scaled.T @ pull + 2 * options.l2 * kernel
        if away is not None:
            moved = away @ kernel
            value += float(moved @ moved)
            gradient = gradient + 2 * (away.T @ moved)
        return value, np.append(gradient, pull.sum()).astype(np.float64)

    found = minimize(
        loss,
        np.zeros(scaled.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "maxcor": 20},
    )
    kernel = (found.x[:-1] / deviation).astype(np.float32)
    return kernel, float(found.x[-1] - mean @ kernel)


def _source_drift(scaled: Array, sample: Sample, weights: Array) -> Array:
    """How far each source's mean is from its label's, times the root of its share: ``[sources, n]``."""
    rows: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for place, (fake, source) in enumerate(zip(sample.fake, sample.source, strict=True)):
        rows[bool(fake), source].append(place)
    drift = []
    for fake in (False, True):
        own = [(places, weights[places]) for (label, _), places in rows.items() if label == fake]
        means = np.array([share @ scaled[places] / share.sum() for places, share in own])
        shares = np.array([share.sum() for _, share in own])
        drift.append((means - shares @ means / shares.sum()) * np.sqrt(shares)[:, None])
    return np.asarray(np.concatenate(drift), np.float32)


def head_of(kernel: Array, bias: float, taps: tuple[int, ...]) -> Head:
    """The head as the network's graph takes it."""
    return Head(taps, kernel.reshape(len(taps), 2, -1), bias)
