"""Memory, and what the ETA promised, over long work: one clip of hours, and a folder of many stills. Linux.

    python benchmarks/long_work.py --hours 2 --stills 10000
    python benchmarks/long_work.py --rows 100000    # instead, a store of made-up clips, and a report of it

With the network of ``--fast``, in one process for each. Memory is that process's resident size (without
ffmpeg, a child) after a tenth of the work and at the end of it; the ETA is what the progress display showed
after that tenth, against the time that the rest took.

A store's size is that of its file once it is closed, without pictures. The memory of its CSV report is the
highest resident size of a process that opens the store and writes it, against that before it writes.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from clips import SAMPLES, looped
from rich.console import Console

from vidscan.cli.progress import ScanProgress, seconds_left
from vidscan.engines.local import LocalEngine
from vidscan.media.sources import from_paths
from vidscan.models.loading import load_models
from vidscan.options import ScanOptions
from vidscan.records import (
    Box,
    Interval,
    Label,
    MemberVerdict,
    ModelCard,
    Provenance,
    Report,
    Source,
    SourceFacts,
    SourceKind,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.report.destination import Destination
from vidscan.report.document import model_document, result_document
from vidscan.results.store import Store
from vidscan.results.tables import Heading, now

DETECTOR = ModelCard("made-up", "none", 224)


class Tenth(ScanProgress):
    """A progress display that keeps what it showed after a tenth: the time since 1970, the ETA, and MiB."""

    found: tuple[float, float, float] | None = None

    def look(self) -> None:
        """Keeps it, once the work has come so far."""
        (task,) = self.tasks
        left = seconds_left(task)
        if self.found is None and task.total and left and task.completed >= task.total / 10:
            self.found = time.time(), left, resident_mib()

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """See :class:`vidscan.protocols.Observer`."""
        super().frame_sampled(source, time_s, duration_s)
        self.look()


def resident_mib(which: str = "VmRSS:") -> float:
    """Resident memory of this process; the highest so far is ``VmHWM:``."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(which)[1].split()[0]) / 1024


def scan(paths: Sequence[Path]) -> str:
    """Scans files, two frames a second, in this process; returns a row of the table."""
    sources, began = from_paths(paths), time.time()
    engine = LocalEngine(ScanOptions.of(fps=2), load_models(["vidscan-lite2"]))
    nowhere = Console(file=io.StringIO(), force_terminal=True)
    with Tenth(nowhere, len(sources), shown=True) as progress:
        for report in engine.scan(sources, progress):
            if report.status is Status.FAILED:
                raise SystemExit(f"{report.source.id}: {report.error}")
            progress.count(report)
            progress.look()
        ended, memory = time.time(), resident_mib()
    if progress.found is None:
        raise SystemExit("there was no ETA after a tenth: more work is needed")
    then, eta, before = progress.found
    rest = ended - then
    times = f"{ended - began:.0f} s | {eta:.0f} s | {rest:.0f} s | {eta / rest:.2f}"
    return f"{times} | {before:.0f} MiB | {memory:.0f} MiB | {memory - before:+.0f} MiB |"


def stills(folder: Path, count: int) -> list[Path]:
    """As many pictures, each a file of its own."""
    kinds = [SAMPLES / name for name in ("astronaut.jpg", "astronaut-self-blended.jpg")]
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        shutil.copy(kinds[number % len(kinds)], path)
    return paths


def made_up(number: int, moments: int) -> Report:
    """A clip of one person who was seen twice a second, with numbers at random."""
    chance = np.random.default_rng(number)
    scores, places = chance.random((moments, 4)), chance.normal(400, 9, (moments, 4))
    points = []
    for place, (score, sure, quality, other) in enumerate(scores.tolist()):
        face = TimelineFace(1, Box(*places[place].tolist()), sure, score, (score, other), quality)
        points.append(TimelinePoint(place / 2, score, (face,)))
    end_s, mean = (moments - 1) / 2, float(scores[:, 0].mean())
    alone = tuple(MemberVerdict(name, Label.UNCERTAIN, mean) for name in ("first", "second"))
    verdict = Verdict(Label.UNCERTAIN, mean, 0.5, "made up", alone, Interval(0.1, 0.9), (1,))
    return Report(
        source=Source(str(number), Path(f"/archive/clips/{number:07}.mp4"), SourceKind.VIDEO),
        status=Status.OK,
        verdict=verdict,
        tracks=(Track(1, 0.0, end_s, moments, mean, members=(mean, mean), person=1),),
        timeline=tuple(points),
        stats=Stats(end_s, moments, moments),
        options={},
        model_card=DETECTOR,
        facts=SourceFacts(bytes=10_000_000, sha256=f"{number:064x}", codec="h264", width=1280, height=720),
        provenance=Provenance(None),
    )


def write_rows(path: Path, rows: int, moments: int) -> float:
    """Puts so many made-up results into a new store, one by one; returns the seconds that it took."""
    members = [replace(DETECTOR, name=name) for name in ("first", "second")]
    heading = Heading({}, {}, model_document(DETECTOR, members), "made up", now())
    with closing(Store.create(path, heading)) as store:
        began = time.monotonic()
        for number in range(rows):
            report = made_up(number, moments)
            store.add(report.source, "1-2", result_document(report))
        return time.monotonic() - began


def write_csv(path: Path) -> str:
    """Writes a store's CSV report beside it; returns cells of the table."""
    with closing(Store.open(path, write=False)) as store:
        before, began = resident_mib(), time.monotonic()
        Destination.parse(str(path.with_suffix(".csv"))).write(store.document())
        took, highest = time.monotonic() - began, resident_mib("VmHWM:")
    return f"{took:.0f} s | {before:.0f} MiB | {highest:.0f} MiB | {highest - before:+.0f} MiB |"


def store_of(rows: int, moments: int) -> None:
    """Prints a table of stores of a tenth of so many rows, and of all."""
    print("| rows | written in | store | CSV in | before | highest | more |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for count in (rows // 10, rows):
        with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
            path = Path(made) / "made-up.vidscan"
            took = write_rows(path, count, moments)
            size = path.stat().st_size / 1e6
            command = [sys.executable, __file__, "--csv", str(path)]
            row = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            print(
                f"| {count:,} of {moments} moments | {took:.0f} s | {size:.0f} MB | {row}", end="", flush=True
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Memory and ETA over long work.")
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--stills", type=int, default=10_000)
    parser.add_argument("--rows", type=int, help="of a made-up store, in place of scans")
    parser.add_argument("--moments", type=int, default=20, help="of each of its clips")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--csv", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.csv:
        print(write_csv(flags.csv))
        return
    if flags.rows:
        store_of(flags.rows, flags.moments)
        return
    if flags.alone:
        print(scan(sorted(flags.alone.iterdir())))
        return
    print("| work | took | ETA after a tenth | the rest took | ratio | after a tenth | at the end | more |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        clip, many = Path(made) / "clip", Path(made) / "stills"
        clip.mkdir()
        many.mkdir()
        looped("camera-move.mp4", round(flags.hours * 3600), clip / "long.mp4")
        stills(many, flags.stills)
        for work, folder in ((f"{flags.hours:g} h, one face", clip), (f"{flags.stills:,} stills", many)):
            command = [sys.executable, __file__, "--alone", str(folder)]
            row = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            print(f"| {work} | {row}", end="", flush=True)


if __name__ == "__main__":
    main()
