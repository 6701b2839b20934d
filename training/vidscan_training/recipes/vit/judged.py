"""Scores the clips of a store by both networks, the second on sources that it never saw, and makes tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan.faces.crops import square_crop
from vidscan.faces.quality import detail
from vidscan.models.checkpoint import LoadedModel, load_model
from vidscan.system.files import replacing
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.folds import (
    UPLOADS,
    Clip,
    Folds,
    auc,
    by_source,
    clips_of,
    headline,
    out_of_fold,
)
from vidscan_training.recipes.vit.fusion import (
    KINDS,
    Array,
    Fit,
    Shares,
    apart,
    are_stills,
    balanced,
    clipped,
    figures,
    means,
    platt,
    second_alone,
)
from vidscan_training.recipes.vit.mouths import Addition, addition, mouths_out_of_fold
from vidscan_training.recipes.vit.probe import ProbeOptions
from vidscan_training.recipes.vit.rules import (
    LEAST_DETAIL,
    chosen_shares,
    left_out,
    rules,
    shares_by_source,
)

SETS = ("plain", "blended1", "composed1", "composed2", "degraded1", "degraded2", "fields1", "reduced1")
"""The sets of views that the face's head is fitted on."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The logits of both networks.

    By face: ``first``, the calibrated logits of the first network; ``second``, the raw logits of the second
    by the heads of the folds, with the mouth's part; ``uploads``, theirs of the degraded views of
    :data:`folds.UPLOADS`. ``mouth`` is how the mouth's part came to the face's. ``clips``
    are those that fusion is fitted on, ``members`` their mean clipped logits by both, ``[n, 2]``, the
    second's calibrated by ``slope`` and ``intercept``, and ``details`` the mean detail of their faces.
    ``shares`` are the first's weights.
    """

    store: FaceStore
    first: Array
    second: Array
    uploads: Array
    mouth: Addition
    clips: list[Clip]
    members: Array
    details: Array
    slope: float
    intercept: float
    shares: Shares

    @property
    def fake(self) -> npt.NDArray[np.bool_]:
        """The truth of each clip."""
        return np.array([clip.row.fake for clip in self.clips])

    @property
    def fine(self) -> npt.NDArray[np.bool_]:
        """Of which clips FAKE may be said."""
        return self.details >= LEAST_DETAIL


def judge(store: FaceStore, folds: Folds, options: ProbeOptions) -> Judged:
    """Scores the store by both networks; what takes long is kept in it."""
    first = np.log(each := np.clip(_first(store), 1e-7, 1 - 1e-7)) - np.log(1 - each)
    faces, mouths = (
        _second(store, folds, options).astype(np.float64),
        mouths_out_of_fold(store, folds),
    )
    scored = np.isfinite(faces[0]) & np.array([row.collection in KINDS for row in store.rows])
    clips = clips_of(store.rows, scored)
    mouth = addition(clips, faces[0], mouths[0])
    second, uploads = mouth.to(faces, mouths)
    fake = np.array([clip.row.fake for clip in clips])
    slope, intercept = platt(means(second, clips), fake, balanced(clips))
    members = np.stack(
        [means(clipped(first), clips), means(clipped(slope * second + intercept), clips)], axis=1
    )
    details = means(_details(store), clips)
    shares = chosen_shares(clips, members, folds, details >= LEAST_DETAIL)
    return Judged(store, first, second, uploads, mouth, clips, members, details, slope, intercept, shares)


def _first(store: FaceStore) -> npt.NDArray[np.float32]:
    """P(fake) of each face by the first network, calibrated by its card."""
    file = store.path / "first.npy"
    if file.exists():
        return np.asarray(np.load(file))
    model = load_model("vidscan-lite2", "onnx")
    scores = [
        _scored(model, store, range(start, min(start + 64, len(store.rows))))
        for start in range(0, len(store.rows), 64)
    ]
    with replacing(file) as path:
        np.save(path, np.concatenate(scores))
    return np.concatenate(scores)


def _scored(model: LoadedModel, store: FaceStore, places: range) -> npt.NDArray[np.float32]:
    card, rows = model.card, [store.rows[place] for place in places]
    crops = [
        square_crop(store.picture(row), row.box, margin=card.margin, size=card.input_size) for row in rows
    ]
    return model.score(np.stack(crops))


def _details(store: FaceStore) -> Array:
    """The detail of each face's picture."""
    file = store.path / "details.npy"
    if not file.exists():
        with replacing(file) as path:
            np.save(path, [detail(store.picture(row), row.box) for row in store.rows])
    return np.asarray(np.load(file))


def _second(store: FaceStore, folds: Folds, options: ProbeOptions) -> npt.NDArray[np.float32]:
    file = store.path / "out_of_fold.npy"
    if not file.exists():
        with replacing(file) as path:
            np.save(path, out_of_fold(store, SETS, UPLOADS, options, folds))
    return np.asarray(np.load(file))


def verdicts(judged: Judged, folds: Folds) -> dict[str, tuple[Array, Array]]:
    """By detector: calibrated logits and verdicts (1 FAKE, 0 UNCERTAIN, -1 REAL) of the clips.

    ``first`` goes by its own card; ``second`` and ``both`` by calibration and thresholds of the other folds.
    """
    card = load_model("vidscan-lite2", "onnx").card
    limits = [np.log(limit / (1 - limit)) for limit in (card.real_threshold, card.fake_threshold)]
    first = judged.members[:, 0]
    return {
        "first": (first, np.where(first >= limits[1], 1, np.where(first <= limits[0], -1, 0))),
        "second": _of_both(judged, folds, second_alone),
        "both": _of_both(judged, folds, apart(judged.shares)),
    }


def _of_both(judged: Judged, folds: Folds, fit: Fit) -> tuple[Array, Array]:
    rule_of = rules(judged.clips, judged.members, folds, fit, judged.fine)
    return left_out(judged.clips, judged.members, judged.fine, rule_of, folds)


def table(judged: Judged, folds: Folds) -> str:
    """All of it in Markdown: figures, verdicts by kind, and each source left out."""
    said = verdicts(judged, folds)
    both = said["both"]
    return "\n\n".join(
        [_figures(judged), _kinds(judged, said), _reliability(judged, both[0]), _sources(judged, *both)]
    )


def _figures(judged: Judged) -> str:
    scored = np.isfinite(judged.second)
    clips = clips_of(judged.store.rows, scored)
    second = means(clipped(judged.slope * judged.second + judged.intercept), clips)
    first = means(clipped(judged.first), clips)
    both = judged.shares.mixed(np.stack([first, second], axis=1), are_stills(clips))
    by = {"first": first, "second": second, "both": both}
    found = {name: headline(clips, [float(each) for each in logits]) for name, logits in by.items()}
    names = list(found["both"])
    lines = [f"| AUC, sources left out | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [
        f"| {name} | {' | '.join(f'{own[each]:.3f}' for each in names)} |" for name, own in found.items()
    ]
    return "\n".join(lines)


def _kinds(judged: Judged, said: dict[str, tuple[Array, Array]]) -> str:
    lines = [
        "| detector | kind | fakes: FAKE | UNCERTAIN | REAL | genuine: FAKE | UNCERTAIN | REAL |",
        f"|---|{'---|' * 7}",
    ]
    kind_of = np.array([clip.row.collection for clip in judged.clips])
    for name, (_, verdict) in said.items():
        for kind in (*KINDS, "all"):
            cells = []
            for label in (True, False):
                own = verdict[(judged.fake == label) & ((kind_of == kind) | (kind == "all"))]
                cells += [f"{np.mean(own == answer):.3f}" for answer in (1, 0, -1)]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    shares = shares_by_source(judged.clips, said["both"][1] == 1, fake=False)
    mean = np.mean([share for share, _ in shares.values()])
    forged = shares_by_source(judged.clips, said["both"][1] == 1, fake=True).values()
    called = np.mean([share for share, _ in forged])
    lines.append(f"\nCalled FAKE by both, as a mean over sources: genuine {mean:.3f}, fakes {called:.3f}.")
    of = judged.shares
    lines.append(f"The first network's weight: {of.clips} for clips, {of.stills} for stills.")
    groups = {"fakes": judged.fake, "genuine": ~judged.fake} | {kind: kind_of == kind for kind in KINDS}
    shares_of = [f"{name} {np.mean(~judged.fine[own]):.3f}" for name, own in groups.items()]
    lines.append(f"In too little detail for FAKE: {', '.join(shares_of)}.")
    return "\n".join(lines)


def _sources(judged: Judged, logits: Array, verdict: Array) -> str:
    lines = [
        "| source left out | kind | truth | clips | AUC against each of the other label, mean "
        "| FAKE | UNCERTAIN | REAL |",
        f"|---|{'---|' * 7}",
    ]
    for kind in KINDS:
        scores, answers = by_source(judged.clips, logits, kind), by_source(judged.clips, verdict, kind)
        for (fake, source), own in sorted(scores.items()):
            others = [each for (label, _), each in scores.items() if label != fake]
            mean = np.mean([auc(other, own) if fake else auc(own, other) for other in others])
            shares = [np.mean(np.array(answers[fake, source]) == answer) for answer in (1, 0, -1)]
            cells = " | ".join(f"{share:.2f}" for share in shares)
            lines.append(
                f"| {source} | {kind} | {'fake' if fake else 'real'} | {len(own)} | {mean:.3f} | {cells} |"
            )
    return "\n".join(lines)


def single_frames(judged: Judged) -> dict[str, float]:
    """The figures of the first face of each clip alone: what a single frame is worth."""
    first = means(clipped(judged.first), judged.clips, 1)
    second = means(clipped(judged.slope * judged.second + judged.intercept), judged.clips, 1)
    members = np.stack([first, second], axis=1)
    return figures(judged.clips, judged.shares.mixed(members, are_stills(judged.clips)))


def _reliability(judged: Judged, logits: Array) -> str:
    """In Markdown, by fifth of P(fake): clips, their mean score, the share of fakes; of calibrated logits."""
    scores = 1.0 / (1.0 + np.exp(-logits))
    fifths = np.minimum((scores * 5).astype(int), 4)
    lines = [
        "| P(fake) | clips | mean P(fake) | share of fakes | of all genuine | of all fakes |",
        f"|---|{'---|' * 5}",
    ]
    for fifth in range(5):
        own = fifths == fifth
        genuine, forged = (np.mean(own[judged.fake == label]) for label in (False, True))
        cells = f"{scores[own].mean():.2f} | {judged.fake[own].mean():.2f} | {genuine:.3f} | {forged:.3f}"
        lines.append(f"| {fifth / 5:.1f} to {fifth / 5 + 0.2:.1f} | {own.sum()} | {cells} |")
    return "\n".join(lines)
