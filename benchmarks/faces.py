"""Faces on made scenes whose truth is known: who is found, at what cost, who is who, and what a scan says.

    python benchmarks/faces.py [DATA] [--only small,cost,...] [--split test] [--quick] [--plain]

DATA is the folder of research data (``../shared/data`` beside the repository). ``--plain`` looks with the
plain detector alone, without cuts and looks, for comparison. ``--split val``, the default, is for developing;
portraits, people and clips of ``test`` are others. The sections:

- ``small``: faces of 24 to 400 px in 1080p, moving and in stills.
- ``cost``: processor time of both on the same frames.
- ``grid``: clips side by side.
- ``cuts``: clips one after the other.
- ``walks``: people who pass each other, leave and come back; ``--repeats 12`` for figures to go by.
- ``turned``: clips turned by 30 to 270 degrees.
- ``tight``: faces that fill their pictures, and textures without a face.
- ``clips``: whole scans with one fake among 1 to 6 people; ``--scenes 42`` for figures to go by. Clips are
  whole, or with ``--fill`` cut around the person so that they fill their cells.

Truth on clips is what the plain detector sees, so ``others`` there may well be people whom it missed; on
pasted portraits they are nobody.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from scenes.bench import Bench
from scenes.detection import cost, count
from scenes.following import as_frame
from scenes.footage import clips, cut_up, joined, side_by_side, turned
from scenes.identities import Kept
from scenes.portraits import portraits
from scenes.tables import IDENTITY, identity_row, part, percent, size_rows, table, verdict_row
from scenes.tight import shown, textures, tight_crops
from scenes.tiled import Writer
from scenes.truth import by_kind
from scenes.verdicts import Said, said
from scenes.walks import walks

import vidscan
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media.ffmpeg.decode import stream_frames
from vidscan.options import DetectionOptions
from vidscan.records import Frame

SHARES = (0.75, 0.85, 1.0, 1.15)
"""How much of the detector's box is left in a tight picture."""

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def small(bench: Bench) -> None:
    """Recall and precision by size, moving and still."""
    moving = bench.crowds(2 if bench.quick else 6, 12 if bench.quick else 30, offset=0)
    stills = bench.crowds(4 if bench.quick else 12, 1, offset=1)
    for title, scenes, still in (("Moving, 2 frames a second", moving, False), ("Stills", stills, True)):
        simple = count(scenes, bench.watchers(plain=True))
        whole = None if bench.plain else count(scenes, bench.watchers(still=still))
        heads = ("faces", "plain: recall", "search: recall", "plain: precision", "search: precision")
        table(f"{title}:", ("size", *heads), size_rows(simple, whole))


def costs(bench: Bench) -> None:
    """Processor time a frame on scenes of many faces and on ordinary clips."""
    frames = 12 if bench.quick else 30
    shown = bench.crowds(2 if bench.quick else 4, frames, offset=0)
    crowded = (map(as_frame, scene.frames()) for scene in shown)
    single = (
        (Frame(clip.target, index, time_s, image) for index, (time_s, image) in enumerate(pictures))
        for clip in bench.reals[: 3 if bench.quick else 6]
        for pictures in [islice(stream_frames(clip.path, 2.0), frames)]
    )
    rows = []
    for name, some in (("14 faces in 1080p", crowded), ("one person, FaceForensics++", single)):
        spent = cost(some, bench.detector, plain=bench.plain)
        seconds = (spent.plain, spent.search, spent.watching)
        times = [f"{each / spent.frames * 1e3:.1f} ms" for each in seconds]
        ratios = [f"{each / spent.plain:.2f}" for each in seconds]
        figures = [*times, *ratios[1:]]
        rows.append([name, str(spent.frames), *(figures[:1] + ["—"] * 4 if bench.plain else figures)])
    heads = ("plain", "search", "all before scoring", "search, ratio", "all before scoring, ratio")
    table("Processor time a frame:", ("scenes", "frames", *heads), rows)


def grid(bench: Bench) -> None:
    """Several clips of different people side by side."""
    rng, scenes = np.random.default_rng(bench.seed), []
    for many in (2, 3, 4, 6):
        for _ in range(1 if bench.quick else 3):
            cast = [bench.reals[row] for row in rng.permutation(len(bench.reals))[:many]]
            scenes.append(side_by_side(bench.library, cast, bench.fps))
    rows = (identity_row(kind, bench.follow(group)) for kind, group in by_kind(scenes))
    table("Clips side by side:", ("scene", *IDENTITY), rows)


def cuts(bench: Bench) -> None:
    """Clips one after the other."""
    plans = [
        cut_up(bench.reals, np.random.default_rng((bench.seed, n))) for n in range(2 if bench.quick else 6)
    ]
    rows = []
    for fps in (bench.fps,) if bench.quick else (bench.fps, 5.0):
        for kind in plans[0]:
            one = bench.follow(joined(bench.library, kind, plan[kind], fps) for plan in plans)
            rows.append(
                (
                    f"{kind}, {fps:g} fps",
                    str(one.frames),
                    part(one.cuts_found, one.cuts),
                    str(one.cuts_false),
                    str(one.astride),
                    part(one.joined, one.same),
                    part(one.mixed, one.different),
                    part(one.switches, one.frames),
                    percent(one.own / one.followed if one.followed else None),
                )
            )
    heads = (
        "cuts found",
        "false",
        "tracks astride",
        "rightly joined",
        "wrongly joined",
        "switches a frame",
        "pure",
    )
    table("Clips cut together:", ("cuts", "frames", *heads), rows)


def encounters(bench: Bench) -> None:
    """People who pass each other, leave, and come back, at several rates."""

    def rows() -> Iterable[Sequence[str]]:
        for fps in (1.0, 2.0, 5.0) if bench.quick else (1.0, 2.0, 5.0, 10.0, 30.0):
            people = portraits(bench.data, bench.detector, bench.split, bench.seed + 2)
            scenes = walks(people, bench.backgrounds, fps=fps, repeats=bench.repeats, seed=bench.seed)
            total = Kept()
            for kind, group in by_kind(scenes):
                one = bench.follow(group)
                total.add(one)
                yield identity_row(f"{kind}, {fps:g} fps", one)
            yield identity_row(f"**all, {fps:g} fps**", total)

    table("People who meet:", ("scene", *IDENTITY), rows())


def turns(bench: Bench) -> None:
    """Clips turned, by the plain detector and the product."""

    def rows() -> Iterable[Sequence[str]]:
        for degrees in (0, 30, 45, 60, 90, 180, 270):
            used = bench.reals[: 3 if bench.quick else 8]
            scenes = [turned(bench.library, clip, degrees, 1.0).lasting(8.0) for clip in used]
            simple = count(scenes, bench.watchers(plain=True))
            whole = None if bench.plain else count(scenes, bench.watchers())
            shares = [percent(each and each.recall()) for each in (simple, whole)]
            wrong = ["—" if each is None else str(each.wrong.total()) for each in (simple, whole)]
            yield (f"{degrees}°", str(simple.there.total()), *shares, *wrong)

    table(
        "Turned clips:",
        ("turned by", "faces", "plain: found", "search: found", "plain: others", "search: others"),
        rows(),
    )


def tight(bench: Bench) -> None:
    """Portraits cut off at forehead and chin, and false faces in pictures of their size."""
    count = 30 if bench.quick else 100
    kinds = {
        f"{share:g} of the box": partial(tight_crops, bench.data, bench.detector, share, count)
        for share in SHARES
    }
    kinds["textures, landscapes"] = partial(textures, bench.backgrounds, 3 * count, bench.seed)

    def rows() -> Iterable[Sequence[str]]:
        for name, pictures in kinds.items():
            simple = part(*shown(pictures(), bench.detector, plain=True))
            yield name, simple, "—" if bench.plain else part(*shown(pictures(), bench.detector, plain=False))

    table("Pictures of 224 pixels that show a face:", ("picture", "plain", "search"), rows())


def verdicts(bench: Bench) -> None:
    """Whole scans with the bundled checkpoint."""
    model, some = vidscan.load_model(), clips(bench.data, bench.split)

    def rows() -> Iterable[Sequence[str]]:
        with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
            writer = Writer(Path(folder), bench.detector, fill=bench.fill)
            company: list[Said] = []
            for people in (1, 2, 4) if bench.quick else (1, 2, 3, 4, 5, 6):
                one = said(
                    some,
                    people=people,
                    count=bench.scenes,
                    seed=bench.seed,
                    writer=writer,
                    model=model,
                    fps=bench.fps,
                )
                yield verdict_row(str(people), one)
                company += one if people > 1 else []
            yield verdict_row("**2 and more**", company)

    heads = ("AUC", "95%", "fakes called FAKE", "the fake is named", "reals called FAKE", "95%")
    table(f"Whole scans, {bench.split} pairs:", ("people", "with a fake", "real", *heads), rows())


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "small": small,
    "cost": costs,
    "grid": grid,
    "cuts": cuts,
    "walks": encounters,
    "turned": turns,
    "tight": tight,
    "clips": verdicts,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the sections asked for and prints tables for README.md."""
    parser = argparse.ArgumentParser(description="Faces on made scenes whose truth is known.")
    parser.add_argument("data", nargs="?", type=Path, default=DATA, metavar="DATA")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between (all)")
    parser.add_argument("--split", choices=["val", "test"], default="val")
    parser.add_argument("--scenes", type=int, help="whole scans of a kind (10; 3 with --quick)")
    parser.add_argument("--repeats", type=int, help="encounters of a kind (2; 1 with --quick), 12 at most")
    parser.add_argument("--fps", type=float, default=2.0, help="frames a second, where not said (2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fill", action="store_true", help="in whole scans, clips fill their cells")
    parser.add_argument("--quick", action="store_true", help="fewer scenes, for a first look")
    parser.add_argument("--plain", action="store_true", help="the plain detector alone")
    flags = parser.parse_args(argv)
    wanted = [name for name in flags.only.split(",") if name]
    for name in wanted:
        if name not in SECTIONS:
            parser.error(f"no section {name}: there are {', '.join(SECTIONS)}")
    for needed in ("faces/ffhq512", "ffpp/manifest.csv"):
        if not (flags.data / needed).exists():
            parser.error(f"{flags.data} holds no {needed}: name the folder of research data")
    scenes = flags.scenes or (3 if flags.quick else 10)
    repeats = flags.repeats or (1 if flags.quick else 2)
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        bench = Bench(
            flags.data,
            flags.split,
            flags.seed,
            flags.quick,
            flags.plain,
            scenes,
            repeats,
            flags.fps,
            detector,
            flags.fill,
        )
        for name in wanted:
            SECTIONS[name](bench)


if __name__ == "__main__":
    main()
