"""Reads damaged signed media for what they say of themselves, and says what became of each.

    python tests/fuzz/provenance_run.py --mutants 2000 --seed 0

Nothing may be raised, whatever the bytes, and every file must be read within its time and memory. What breaks
this rule is listed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import corpus
import mutation

sys.path.append(str(Path(__file__).parents[1] / "vidscan"))  # where signing is

from vidscan.provenance.credentials import MAX_MEMORY, MIN_TIME_S
from vidscan.provenance.reading import ProvenanceReader

NAMES = ("still.jpg", "still.png", "still.webp", "plain.tif", "h264.mp4", "h264.mov", "mpeg4.avi", "gif.gif")
HEIC = "hevc.heic"
MAX_GROWTH_KB = 200_000
"""How much memory the reading process may gain over a run."""


@dataclass
class Outcomes:
    """What came of a run; ``faults`` must be empty. ``largest_kb``: the largest process that read a file."""

    results: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_kb: int = 0
    largest_kb: int = 0


def make(folder: Path) -> list[Path]:
    """Signed media, with XMP and EXIF in some."""
    from signed_media import MIMES, authority, heic, sign

    made, _ = corpus.make(folder, (*NAMES, "hevc.mp4"))
    hevc = folder / "hevc.mp4"
    if hevc in made:
        made.remove(hevc)
        (folder / HEIC).write_bytes(heic(hevc, exif=b"II*\0\x08\0\0\0\0\0", xmp=b"<a:Credit>x</a:Credit>"))
        made.append(folder / HEIC)
    by, signed = authority(), []
    for path in made:
        source = path.rename(path.with_suffix(".tiff")) if path.suffix == ".tif" else path
        assert source.suffix in MIMES
        once = sign(source, folder / f"once-{source.name}", by)
        signed += [once, sign(once, folder / f"twice-{source.name}", by, [], parent=once)]
    return signed


def run(media: Sequence[Path], numbers: Iterable[int], seed: int) -> Outcomes:
    """Reads mutants of the media, one after the other, by one reader."""
    outcomes = Outcomes()
    contents = {path: path.read_bytes() for path in media}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder, ProvenanceReader() as reader:
        for number in numbers:
            rng = random.Random(f"{seed}:{number}")
            path = rng.choice(media)
            atoms = path.suffix in (".mp4", ".mov", ".heic")
            damaged, damage = mutation.mutate(contents[path], list(contents.values()), rng, atoms=atoms)
            mutant = Path(folder) / f"mutant{path.suffix}"
            mutant.write_bytes(damaged)
            begun = time.monotonic()
            try:
                said = reader.read(mutant)
            except Exception as error:  # noqa: BLE001 - that nothing gets through is what is tested
                outcomes.faults.append(f"mutant {number} ({path.name}, {damage}): {error!r} came through")
                continue
            taken = time.monotonic() - begun
            outcomes.slowest_s = max(outcomes.slowest_s, taken)
            if taken > MIN_TIME_S or said.note:
                outcomes.faults.append(f"mutant {number} ({path.name}, {damage}): {taken:.1f} s {said.note}")
            found = said.content_credentials
            outcomes.results["nothing found" if found is None else found.state.value] += 1
    outcomes.grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    outcomes.largest_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of all children ever
    return outcomes


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        media = make(Path(folder))
        outcomes = run(media, range(given.first, given.first + given.mutants), given.seed)
    print(f"{given.mutants} mutants of {len(media)} files in {time.monotonic() - begun:.0f} s: ", end="")
    print(", ".join(f"{count} {result}" for result, count in outcomes.results.most_common()))
    print(
        f"slowest {outcomes.slowest_s:.2f} s; this process grew by {outcomes.grown_kb / 1e3:.0f} MB, ", end=""
    )
    print(f"the largest that read a file had {outcomes.largest_kb / 1e3:.0f} MB")
    if outcomes.grown_kb > MAX_GROWTH_KB or outcomes.largest_kb > MAX_MEMORY >> 10:
        outcomes.faults.append("that is more memory than a reader may have")
    print("\n".join(f"FAULT {fault}" for fault in outcomes.faults))
    return 1 if outcomes.faults else 0


if __name__ == "__main__":
    sys.exit(main())
