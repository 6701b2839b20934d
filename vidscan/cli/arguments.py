"""What the command line understands, and the options that its flags ask for. Nothing is done here."""

from __future__ import annotations

import argparse
from pathlib import Path

from vidscan import __version__
from vidscan.errors import UsageError, quoted
from vidscan.media.storage import is_remote, local_path
from vidscan.models.bundled import CHECKPOINTS, FAST
from vidscan.options import (
    HWACCELS,
    RUNTIMES,
    BatchingOptions,
    DetectionOptions,
    EvidenceOptions,
    ModelOptions,
    RayOptions,
    SamplingOptions,
    ScanOptions,
    StorageOptions,
    VerdictOptions,
)

EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_FAKE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0  everything was analysed
  1  some input failed (the report says which and why)
  2  wrong usage: nothing was analysed
  3  something is FAKE, where --fail-on fake asks for it
  130  interrupted (what was finished is in the report); 143 where it was by SIGTERM
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="vidscan",
        description="Tells whether the faces in a video were synthesised, when, and which.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vidscan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _add_command(commands, "run", "scan clips")
    run.add_argument("paths", nargs="+", type=place, metavar="CLIP", help="a path, or a URL such as s3://…")
    _add_scan_flags(run, video=True)

    folder = _add_command(commands, "dir", "scan all clips and stills in a folder")
    folder.add_argument(
        "folder",
        nargs="?",
        type=place,
        metavar="FOLDER",
        help="a folder, or a URL such as s3://bucket/prefix",
    )
    folder.add_argument(
        "--from-list",
        metavar="FILE",
        help="instead of a folder, the paths and URLs in a text, CSV or Parquet file",
    )
    folder.add_argument("--recursive", action="store_true", help="look into subfolders too")
    _add_resume_flags(folder)
    _add_engine_flags(folder)
    _add_scan_flags(folder, video=True)

    image = _add_command(commands, "image", "scan stills")
    image.add_argument(
        "paths", nargs="+", type=place, metavar="STILL", help="a path, or a URL such as s3://…"
    )
    _add_scan_flags(image, video=False)

    _add_export(commands)

    doctor = _add_command(commands, "doctor", "check the installation")
    doctor.add_argument(
        "--model", type=Path, metavar="NAME|PATH", help="check this checkpoint (default: those that ship)"
    )
    doctor.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # ``started`` turns True with the work: an error before it is wrong usage, one after it a failure.
    parser.set_defaults(command=name, started=False, engine="local")
    return parser


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = _add_command(commands, "export", "write a checkpoint as a file for deployment")
    export.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help=f"a .keras file, or the name of one that ships (default: {FAST})",
    )
    export.add_argument("--format", required=True, choices=["onnx", "onnx-int8"])
    export.add_argument("--out", required=True, type=Path, metavar="FILE", help="ends in .onnx")
    export.add_argument(
        "--calibrate",
        type=Path,
        metavar="FOLDER",
        help="int8 takes its ranges from the faces in these clips, stills or crops (default: the samples)",
    )
    export.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")


def _add_scan_flags(parser: argparse.ArgumentParser, *, video: bool) -> None:
    if video:
        _add_sampling_flags(parser)
    _add_model_flags(parser)
    _add_output_flags(parser)
    _add_evidence_flags(parser, video=video)
    _add_judgement_flags(parser)
    _add_storage_flags(parser)
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="work in a process of its own: a crash or a hang over one file costs that file alone",
    )
    _add_loudness_flags(parser)


def _add_sampling_flags(parser: argparse.ArgumentParser) -> None:
    how_often = parser.add_mutually_exclusive_group()
    how_often.add_argument(
        "--fps", type=float, default=2.0, metavar="N", help="frames to look at per second (default 2)"
    )
    how_often.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="look at N frames spread evenly over the clip, reached by seeking, however long it is",
    )
    parser.add_argument(
        "--keyframes", action="store_true", help="decode only keyframes, and look at --fps of them at most"
    )
    parser.add_argument(
        "--hwaccel",
        choices=HWACCELS,
        default="none",
        help="decode in hardware where there is any (default none)",
    )


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="NAME|PATH",
        help=f"{' or '.join(CHECKPOINTS)}, or a checkpoint's path (default: both that ship); given several "
        "times, an ensemble of them",
    )
    parser.add_argument("--fast", action="store_true", help=f"{FAST} alone: quicker, and blind to more")
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="what computes .keras files (default auto: Keras on a GPU, else onnxruntime); .onnx files "
        "always take onnxruntime",
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="faces scored at once (default 32)"
    )


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        metavar="OUT",
        help="write the report to OUT.html, OUT.json, OUT.jsonl, OUT.csv or OUT.parquet, a path or a URL; "
        "- for JSON on stdout",
    )
    parser.add_argument("--fail-on", choices=["fake"], help="exit with 3 when something is FAKE")


def _add_evidence_flags(parser: argparse.ArgumentParser, *, video: bool) -> None:
    parser.add_argument(
        "--explain", action="store_true", help="heat maps of the most suspicious faces, in an HTML report"
    )
    parser.add_argument(
        "--explain-dir", type=Path, metavar="DIR", help="write those heat maps into DIR as PNG files"
    )
    if video:
        parser.add_argument(
            "--annotate",
            type=Path,
            metavar="OUT",
            help="write the clip with boxes and scores to OUT.mp4 (several clips: into the folder OUT)",
        )


def _add_resume_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with a scan that was broken off, by the journal beside its --report",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="with --resume, take up again what failed before"
    )


def place(text: str) -> Path | str:
    """A path, or a URL as it stands: a path would take its double slash for one."""
    return text if is_remote(text) else local_path(text)


def _add_storage_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", help="where copies of remote clips lie while they are read"
    )
    parser.add_argument(
        "--scratch-gb", type=float, default=8.0, metavar="N", help="room for them, in GB (default 8)"
    )


def _add_engine_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="scan here (default), or on a Ray cluster"
    )
    parser.add_argument(
        "--ray-address",
        metavar="A",
        help="auto, HOST:PORT or ray://HOST:PORT (default: the cluster at hand, else one of this machine)",
    )
    parser.add_argument(
        "--ray-workers", type=int, metavar="N", help="workers (default: as many as there is room for)"
    )
    parser.add_argument(
        "--ray-cpus", type=int, default=2, metavar="N", help="CPUs that each worker takes (default 2)"
    )
    parser.add_argument(
        "--ray-gpus",
        type=float,
        metavar="N",
        help="GPUs that each takes, or a part of one, such as 0.5 (default: one where there are any)",
    )


def _add_judgement_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-confidence", type=float, default=0.5, metavar="P", help="least sure detection taken (0.5)"
    )
    parser.add_argument(
        "--min-face", type=int, default=32, metavar="PX", help="smallest face looked for, in pixels (32)"
    )
    parser.add_argument(
        "--faces",
        default="all",
        metavar="all|largest|N",
        help="how many faces of a frame are taken, the largest first (default all)",
    )
    parser.add_argument(
        "--region",
        metavar="X,Y,W,H",
        help="look for faces only in this rectangle, in pixels of the upright frame",
    )
    parser.add_argument(
        "--fake-threshold", type=float, metavar="P", help="FAKE from here (default: the card's)"
    )
    parser.add_argument(
        "--real-threshold", type=float, metavar="P", help="REAL up to here (default: the card's)"
    )


def _add_loudness_flags(parser: argparse.ArgumentParser) -> None:
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="print timings, and tracebacks of errors"
    )


def scan_options(flags: argparse.Namespace) -> ScanOptions:
    """The options that the flags ask for; raises UsageError where one cannot work."""
    return ScanOptions(
        sampling=_sampling_options(flags) if "fps" in flags else SamplingOptions(),
        detection=_detection_options(flags),
        batching=BatchingOptions(flags.batch_size),
        model=ModelOptions(_models(flags), flags.runtime),
        verdict=VerdictOptions(flags.fake_threshold, flags.real_threshold),
        evidence=_evidence_options(flags),
        storage=StorageOptions(flags.scratch, flags.scratch_gb),
    )


def _models(flags: argparse.Namespace) -> tuple[Path, ...]:
    """The checkpoints named; none where all that ship shall score."""
    if flags.fast and flags.model:
        raise UsageError(f"--fast takes {FAST} alone, and --model names others: leave one of them out")
    return (Path(FAST),) if flags.fast else tuple(flags.model)


def ray_options(flags: argparse.Namespace) -> RayOptions:
    """Where ``--engine ray`` shall scan; raises UsageError where an option cannot work."""
    return RayOptions(flags.ray_address, flags.ray_workers, flags.ray_cpus, flags.ray_gpus)


def _sampling_options(flags: argparse.Namespace) -> SamplingOptions:
    return SamplingOptions(flags.fps, flags.frames, flags.keyframes, flags.hwaccel)


def _detection_options(flags: argparse.Namespace) -> DetectionOptions:
    region = None if flags.region is None else _region(flags.region)
    return DetectionOptions(flags.min_confidence, flags.min_face, _faces(flags.faces), region)


def _faces(text: str) -> int | None:
    """How many faces ``--faces`` asks for; None is all of them."""
    named = {"all": None, "largest": 1}
    if text in named:
        return named[text]
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"--faces {quoted(text)} cannot work: give all, largest, or a number of 1 or more"
        ) from None


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--region {quoted(text)} cannot work: give x,y,width,height in whole pixels, such as 0,0,640,360"
        ) from None
    return x, y, width, height


def _evidence_options(flags: argparse.Namespace) -> EvidenceOptions:
    explained = flags.explain or flags.explain_dir is not None
    shown = flags.report is not None and flags.report.lower().endswith(".html")
    return EvidenceOptions(kept=explained or shown, explained=explained)
