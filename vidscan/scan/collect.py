"""ScoredBatch -> Report: gathers the scores of each source and judges it once they are complete."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vidscan.models.ensemble import Ensemble
from vidscan.models.gradcam import with_heat
from vidscan.options import ScanOptions
from vidscan.probability import average, clipped
from vidscan.protocols import Explainer, Scorer
from vidscan.records import (
    EvidenceCrop,
    FaceScore,
    FaceSeen,
    Report,
    ScoredBatch,
    SourceKind,
    Stats,
    Status,
)
from vidscan.scan.best_crops import BestCrops
from vidscan.scan.reading import Ledger, Reading
from vidscan.verdict import judge


@dataclass(slots=True)
class Pending:
    """What scoring has brought so far of one source.

    ``rows`` has a score for each crop. ``wait_seconds``, ``score_seconds`` and ``slots`` are the source's
    share of every batch that its crops were in.
    """

    best: BestCrops
    rows: list[FaceScore] = field(default_factory=list)
    wait_seconds: float = 0.0
    score_seconds: float = 0.0
    slots: float = 0.0

    def stats(self, reading: Reading, faces: int) -> Stats:
        """The counts and times of the whole source, of which ``faces`` were scored."""
        seconds = replace(
            reading.stats.seconds,
            wait=self.wait_seconds,
            score=self.score_seconds,
            total=time.perf_counter() - reading.started,
        )
        return replace(reading.stats, faces_scored=faces, batch_slots=self.slots, seconds=seconds)


def collect(
    scored: Iterable[ScoredBatch],
    ledger: Ledger,
    *,
    options: ScanOptions,
    ensemble: Ensemble[Scorer],
    explainer: Explainer | None = None,
) -> Iterator[Report]:
    """Yields the report on each source, in order, as soon as its last crop was scored."""
    shown = 0 if explainer is None else ensemble.geometries.index(explainer.geometry)
    waiting: dict[str, Pending] = defaultdict(lambda: Pending(BestCrops(options.evidence)))

    def report_oldest() -> Report:
        reading = ledger.popleft()
        report = _report(reading, waiting[reading.source.id], options, ensemble, explainer)
        del waiting[reading.source.id]
        return report

    for batch in scored:
        rows = face_scores(batch, ensemble)
        for row, image in zip(rows, batch.batch.images[shown], strict=False):
            pending = waiting[row.face.source_id]
            pending.rows.append(row)
            pending.best.add(row, image)
            pending.wait_seconds += batch.waited / len(rows)
            pending.score_seconds += batch.seconds / len(rows)
            pending.slots += batch.computed / len(rows)
        while ledger and len(waiting[ledger[0].source.id].rows) == ledger[0].stats.crops_scored:
            yield report_oldest()
    # The stream has ended: what is left had its last face in the last batch, or shows no face.
    while ledger:
        yield report_oldest()


def _report(
    reading: Reading,
    pending: Pending,
    options: ScanOptions,
    ensemble: Ensemble[Scorer],
    explainer: Explainer | None,
) -> Report:
    source, still = reading.source, reading.source.kind is SourceKind.IMAGE
    faces = whole_faces(pending.rows) if still else pending.rows
    card, members = ensemble.card, ensemble.member_cards
    context: dict[str, Any] = {
        "options": options.to_report(),
        "model_card": card,
        "members": members,
        "stats": pending.stats(reading, len(faces)),
        "facts": reading.facts,
        "remarks": reading.remarks,
        "provenance": reading.provenance,
    }
    if reading.error is not None:
        return Report(source=source, status=Status.FAILED, error=reading.error, **context)
    scores = [*faces, *(FaceScore(face, None) for face in reading.unjudged)]
    findings = judge.judge(
        scores, card, options.verdict, source.kind, members=members, persons=reading.persons
    )
    evidence = pending.best.chosen(findings.tracks)
    evidence = with_face_scores(evidence, faces) if still else evidence
    if explainer is not None:
        evidence = with_heat(evidence, explainer, options.evidence.highest)
    return Report(
        source=source,
        status=Status.OK,
        verdict=findings.verdict,
        tracks=tuple(replace(each, stream=reading.streams.get(each.id, 0)) for each in findings.tracks),
        timeline=findings.timeline,
        segments=findings.segments,
        evidence=evidence,
        **context,
    )


def face_scores(scored: ScoredBatch, ensemble: Ensemble[Scorer]) -> list[FaceScore]:
    """The faces of a batch, with what their members say put together."""
    said = [tuple(row) for row in scored.fake_probability.tolist()]
    return [
        FaceScore(face, ensemble.together(each, still=face.still), each if len(ensemble) > 1 else ())
        for face, each in zip(scored.batch.faces, said, strict=True)
    ]


def whole_faces(rows: Sequence[FaceScore]) -> list[FaceScore]:
    """The faces of a still, each with the mean of its views, in the order of their first rows.

    A view is to a still what a frame is to a clip: clipped logits are averaged, those of each member of an
    ensemble alike. ``rows`` come in the order in which the crops were cut.
    """
    faces: dict[tuple[int, int], list[FaceScore]] = defaultdict(list)
    for row in rows:
        faces[_sighting(row.face)].append(row)
    return [_together(views) for views in faces.values()]


def _sighting(face: FaceSeen | EvidenceCrop) -> tuple[int, int]:
    """What tells a face of one picture from the others of a still's file."""
    return face.track, face.frame_index


def _together(views: Sequence[FaceScore]) -> FaceScore:
    scores = tuple(view.fake_probability for view in views if view.fake_probability is not None)
    by_member = zip(*(view.members for view in views), strict=True)
    return FaceScore(views[0].face, _mean(scores), tuple(_mean(each) for each in by_member), scores)


def _mean(scores: Sequence[float]) -> float:
    return average([clipped(score) for score in scores])


def with_face_scores(kept: Sequence[EvidenceCrop], faces: Sequence[FaceScore]) -> tuple[EvidenceCrop, ...]:
    """The crops kept of a still, with the scores of the whole faces in the place of their first views'."""
    scores = {_sighting(each.face): each.fake_probability for each in faces}
    whole = [(crop, scores[_sighting(crop)]) for crop in kept]
    return tuple(replace(crop, fake_probability=p, time_s=0.0) for crop, p in whole if p is not None)
