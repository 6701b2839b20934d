"""The one list of stages, in order. Composition only: nothing here knows how a stage works."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from vidscan.media.scratch import Scratch
from vidscan.models.ensemble import Ensemble
from vidscan.models.gradcam import ExplainableModel, GradCam
from vidscan.models.landmarks import landmarker_for
from vidscan.models.shares import first_with_shares
from vidscan.options import ScanOptions
from vidscan.protocols import Explainer, FaceDetector, Observer, Scorer
from vidscan.provenance.reading import ProvenanceReader
from vidscan.provenance.trust import certificates_in
from vidscan.records import Report, Source
from vidscan.scan.batches import batch_crops, queue_for
from vidscan.scan.collect import collect
from vidscan.scan.reading import Ledger, SourceReader
from vidscan.scan.scoring import score_batches


def scan(
    sources: Iterable[Source],
    options: ScanOptions,
    *,
    scorers: Sequence[Scorer],
    detector: FaceDetector,
    observer: Observer | None = None,
    explainer: Explainer | None = None,
) -> Iterator[Report]:
    """Analyses sources as one stream, in which batches fill across them; yields one report each, in order.

    ``scorers``: the network, or those of an ensemble (an ``Ensemble`` keeps its detector card); their cards
    give the crops' geometries and the thresholds. A source that cannot be analysed gives a report with status
    FAILED, never an exception. Raises ScoringError where a network itself fails, and UsageError where the
    trust folder cannot be used.
    """
    ensemble, ledger, stop = Ensemble.of(scorers), Ledger(), threading.Event()
    geometries = ensemble.geometries
    copies = Scratch(options.storage) if observer is None else Scratch(options.storage, observer.part_fetched)
    with copies as scratch, ProvenanceReader(certificates_in(options.provenance.trust)) as declared:
        reader = SourceReader(
            detector, options, geometries, ensemble.least_face, observer, scratch, declared,
            landmarker_for(geometries),
        )  # fmt: skip
        crops = reader.read(scratch.ahead(sources), ledger, stop)
        sizes = [geometry.input_size for geometry in geometries]
        # Closed before the caller closes the detector, which the reading thread may be using.
        waiting = batch_crops(
            crops, sizes=sizes, options=options.batching, queue=queue_for(ensemble.members), stop=stop
        )
        with closing(waiting) as batches:
            scored = score_batches(batches, ensemble)
            yield from collect(scored, ledger, options=options, ensemble=ensemble, explainer=explainer)


def explainer_of(models: Sequence[ExplainableModel], options: ScanOptions) -> Explainer | None:
    """What draws the heat maps that the options ask for, if any.

    The first model that gives exact shares of its logit is explained by them; where none does, Grad-CAM
    explains the first. Raises ModelError where that network allows none.
    """
    if not options.evidence.explained:
        return None
    return first_with_shares(models) or GradCam.of(models[0])
