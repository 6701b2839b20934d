"""A worker with a toy network, which comes to harm over files whose names say so.

Run by :mod:`test_isolated` in the place of ``vidscan.engines.isolated.worker``; the first argument is a
folder in which each start leaves a file. With a second argument it dies at once.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # where the toys are
from toys import ToyDetector, ToyScorer

from vidscan.engines.isolated.worker import serve
from vidscan.engines.job import Job, ScanStream
from vidscan.errors import ScoringError
from vidscan.media.scratch import Scratch
from vidscan.models.ensemble import Ensemble
from vidscan.protocols import Observer
from vidscan.provenance.reading import ProvenanceReader
from vidscan.records import CropBatch, FaceCrop, Report, Source
from vidscan.scan.collect import collect
from vidscan.scan.reading import Ledger, SourceReader
from vidscan.scan.scoring import score_batches


def come_to_harm(name: str) -> None:
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "killed" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(600)
    if "exit" in name:
        os._exit(7)
    if "garbage" in name:
        os.write(3, b"\x00\x00\x00\x05{]}[{" * 1000)
        time.sleep(600)


class HarmfulScorer(ToyScorer):
    """Comes to harm over faces of a certain brightness, in whatever batch they are."""

    def score(self, crops):
        if ((crops.mean(axis=(1, 2, 3)) - 130) ** 2 < 9).any():
            come_to_harm("crash")
        if ((crops.mean(axis=(1, 2, 3)) - 140) ** 2 < 9).any():
            raise ScoringError("the toy network broke down")
        return super().score(crops)


def in_batches(crops: Iterator[FaceCrop], size: int) -> Iterator[CropBatch]:
    while rows := list(itertools.islice(crops, size)):
        yield CropBatch(tuple(crop.face for crop in rows), (np.stack([crop.images[0] for crop in rows]),))


def prepare(job: Job) -> ScanStream:
    with tempfile.NamedTemporaryFile(dir=sys.argv[1], delete=False):
        pass
    if len(sys.argv) > 2:
        come_to_harm("crash")
    print("a library's chatter")

    def harmful(sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            yield source
            come_to_harm(source.path.name)  # as the next is asked for: its frames were read

    def toy_scan(sources: Iterable[Source], observer: Observer) -> Iterator[Report]:
        """A scan in which plain numpy makes the batches: TensorFlow would take seconds at every start."""
        ledger, ensemble, options = Ledger(), Ensemble((HarmfulScorer(),)), job.options
        with Scratch(options.storage, observer.part_fetched) as scratch, ProvenanceReader() as declared:
            reader = SourceReader(ToyDetector(), options, ensemble.geometries, 0, observer, scratch, declared)
            crops = reader.read(harmful(sources), ledger, threading.Event())
            batches = in_batches(crops, options.batching.batch_size)
            yield from collect(score_batches(batches, ensemble), ledger, options=options, ensemble=ensemble)

    return toy_scan


if __name__ == "__main__":
    serve(prepare)
