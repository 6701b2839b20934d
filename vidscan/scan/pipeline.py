"""The one list of stages, in order. Composition only: nothing here knows how a stage works."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from vidscan.media.scratch import Scratch
from vidscan.models.ensemble import Ensemble
from vidscan.models.gradcam import ExplainableModel, GradCam, with_heat
from vidscan.models.shares import first_with_shares
from vidscan.options import ScanOptions
from vidscan.probability import combine
from vidscan.protocols import Explainer, FaceDetector, Observer, Scorer
from vidscan.records import (
    Box,
    Calibration,
    FaceScore,
    Quality,
    Report,
    ScoredBatch,
    Source,
    SourceKind,
    StageSeconds,
    Stats,
    Status,
)
from vidscan.scan.batches import batch_crops
from vidscan.scan.best_crops import Gallery
from vidscan.scan.reading import Ledger, SourceEntry, read_crops
from vidscan.scan.scoring import score_batches
from vidscan.scan.views import whole_faces, with_face_scores
from vidscan.verdict import judge


def scan(
    sources: Iterable[Source],
    options: ScanOptions,
    *,
    scorers: Sequence[Scorer],
    detector: FaceDetector,
    observer: Observer | None = None,
    explainer: Explainer | None = None,
) -> Iterator[Report]:
    """Analyses sources as one stream; batches fill across them.

    Args:
        sources: clips and stills, in the order in which reports are wanted.
        options: what to do.
        scorers: the network, or those of an ensemble (an ``Ensemble`` keeps its detector card); their cards
            give the crops' geometries and the thresholds.
        detector: finds the faces.
        observer: is told of every frame read.
        explainer: draws the heat maps of the crops that are kept; None draws none.

    Yields:
        One report a source, in order, as soon as its last face was scored. A source that cannot be
        analysed gives a report with status FAILED, never an exception.

    Raises:
        ScoringError: a network itself fails.
    """
    ledger, stop, ensemble = Ledger(), threading.Event(), Ensemble.of(scorers)
    scratch = (
        Scratch(options.storage) if observer is None else Scratch(options.storage, observer.part_fetched)
    )
    crops = read_crops(
        scratch.ahead(sources),
        options=options,
        geometries=ensemble.geometries,
        least_face=ensemble.least_face,
        detector=detector,
        ledger=ledger,
        observer=observer,
        stop=stop,
        scratch=scratch,
    )
    sizes = [geometry.input_size for geometry in ensemble.geometries]
    batches = batch_crops(crops, sizes=sizes, options=options.batching, stop=stop)
    # Closed before the caller closes the detector, which the reading thread may be using.
    with scratch, closing(batches):
        scored = score_batches(batches, ensemble)
        yield from collect(scored, ledger, options=options, ensemble=ensemble, explainer=explainer)


def explainer_of(models: Sequence[ExplainableModel], options: ScanOptions) -> Explainer | None:
    """What draws the heat maps that the options ask for, if any.

    The first model that gives exact shares of its logit is explained by them; where none does, Grad-CAM
    explains the first.

    Raises:
        ModelError: that network allows none.
    """
    if not options.evidence.explained:
        return None
    return first_with_shares(models) or GradCam.of(models[0])


@dataclass(slots=True)
class Spent:
    """What scoring one source's faces took: its share of every batch that they were in."""

    wait: float = 0.0
    score: float = 0.0
    slots: float = 0.0


def collect(
    scored: Iterable[ScoredBatch],
    ledger: Ledger,
    *,
    options: ScanOptions,
    ensemble: Ensemble[Scorer],
    explainer: Explainer | None = None,
) -> Iterator[Report]:
    """Gathers the scores of each source and reports on it once they are complete."""
    scores: dict[str, list[FaceScore]] = defaultdict(list)
    spent: dict[str, Spent] = defaultdict(Spent)
    shown = 0 if explainer is None else ensemble.geometries.index(explainer.geometry)
    gallery = Gallery(options.evidence, shown)

    def report_oldest() -> Report:
        entry = ledger.take()
        name, still = entry.source.id, entry.source.kind is SourceKind.IMAGE
        rows = scores.pop(name, [])
        faces = whole_faces(rows) if still else rows
        report = build_report(entry, faces, spent.pop(name, Spent()), options=options, ensemble=ensemble)
        kept = gallery.take(name, report.tracks)
        kept = with_face_scores(kept, faces) if still else kept
        if explainer is not None:
            kept = with_heat(kept, explainer, options.evidence.highest)
        return replace(report, evidence=kept) if kept else report

    for batch in scored:
        rows = face_scores(batch, ensemble.weights, ensemble.calibration)
        gallery.add(batch.batch, rows)
        for row in rows:
            scores[row.source_id].append(row)
            share = spent[row.source_id]
            share.wait += batch.waited / len(rows)
            share.score += batch.seconds / len(rows)
            share.slots += batch.computed / len(rows)
        while (entry := ledger.oldest()) is not None and len(scores[entry.source.id]) == entry.crops:
            yield report_oldest()
    # The stream has ended: what is left had its last face in the last batch, or shows no face.
    while ledger.oldest() is not None:
        yield report_oldest()


def build_report(
    entry: SourceEntry,
    scores: Sequence[FaceScore],
    spent: Spent,
    *,
    options: ScanOptions,
    ensemble: Ensemble[Scorer],
) -> Report:
    """Judges one source by its scores and its line in the ledger.

    Args:
        entry: what reading it brought: counts, times and the failure, if any.
        scores: its scored faces in the order of time; those of a still with all of their views.
        spent: what scoring them took.
        options: echoed in the report; gives the rules of the verdict.
        ensemble: its cards give the thresholds, and go into the report.
    """
    card, members = ensemble.card, ensemble.member_cards
    stats = _stats(entry, spent, faces=len(scores))
    if entry.error is not None:
        return Report(
            source=entry.source,
            status=Status.FAILED,
            verdict=None,
            tracks=(),
            timeline=(),
            segments=(),
            stats=stats,
            options=options.to_report(),
            model_card=card,
            error=entry.error,
            members=members,
            facts=entry.facts,
        )
    findings = judge.judge(
        [*scores, *entry.unjudged],
        card,
        options.verdict,
        entry.source.kind,
        members=members,
        persons=entry.persons,
    )
    said = findings.verdict
    if entry.remark:
        said = replace(said, reason=f"{said.reason} {entry.remark}")
    return Report(
        source=entry.source,
        status=Status.OK,
        verdict=said,
        tracks=findings.tracks,
        timeline=findings.timeline,
        segments=findings.segments,
        stats=stats,
        options=options.to_report(),
        model_card=card,
        members=members,
        facts=entry.facts,
    )


def _stats(entry: SourceEntry, spent: Spent, *, faces: int) -> Stats:
    """Counts and times of a source of which ``faces`` were scored."""
    return Stats(
        duration_s=entry.duration_s,
        frames_sampled=entry.frames,
        faces_scored=faces,
        crops_scored=entry.crops,
        faces_unjudged=len(entry.unjudged),
        cuts_s=entry.cuts_s,
        batch_slots=spent.slots,
        seconds=StageSeconds(
            decode=entry.decode_seconds,
            detect=entry.detect_seconds,
            wait=spent.wait,
            score=spent.score,
            total=time.perf_counter() - entry.started,
        ),
    )


def face_scores(
    scored: ScoredBatch, weights: Sequence[float], calibration: Calibration | None = None
) -> list[FaceScore]:
    """The rows of a batch that are no padding, with what their members say put together."""
    batch = scored.batch
    said = [tuple(row) for row in scored.fake_probability.tolist()]
    return [
        FaceScore(
            source_id=str(batch.source_id[row]),
            frame_index=int(batch.frame_index[row]),
            time_s=float(batch.time_s[row]),
            box=Box(*(float(value) for value in batch.box[row])),
            confidence=float(batch.confidence[row]),
            fake_probability=combine(said[row], weights, calibration),
            members=said[row] if len(weights) > 1 else (),
            track=int(batch.track[row]),
            quality=Quality(*(float(factor) for factor in batch.quality[row])),
        )
        for row in np.flatnonzero(batch.mask)
    ]
