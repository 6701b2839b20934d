"""What the command line understands, and the requests that its flags make. Nothing is done here.

The flags come from the dataclasses of :mod:`vidscan.options` and :mod:`vidscan.cli.requests`. Only what was
given stands in a namespace: all defaults are those of the dataclasses.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from vidscan import __version__
from vidscan.cli.requests import (
    EXPORT_FORMATS,
    DoctorRequest,
    ExportOptions,
    Request,
    ScanRequest,
    ServeRequest,
    has_page,
)
from vidscan.errors import UsageError
from vidscan.flags import add_flags, values_of
from vidscan.media.storage import is_remote, local_path
from vidscan.models.bundled import FAST
from vidscan.options import ModelOptions, RayOptions, SamplingOptions, ScanOptions

EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_FAKE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0  everything was analysed
  1  some input failed (the report says which and why)
  2  wrong usage: nothing was analysed
  3  something is FAKE, or declares AI, where --fail-on asks for it
  130  interrupted (what was finished is in the report); 143 where it was by SIGTERM
"""

FOLDERS_ALONE = ("from_list", "recursive")
"""Flags that ``vidscan dir`` has and ``run`` and ``image`` lack."""


class Asked(NamedTuple):
    """What a command line asks; ``request`` makes it, and raises UsageError where it cannot work."""

    request: Callable[[], Request]
    verbose: bool


class _Parser(argparse.ArgumentParser):
    """A parser that suggests what a misspelled flag may have meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses an unknown flag by its name; argparse would rather miss what should follow it."""
        given = sys.argv[1:] if args is None else list(args)
        if given and given[0].startswith("--") and self._subparsers is not None:
            self._suggest(given[0])
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self._suggest(rest[0])
        return found, rest

    def _suggest(self, flag: str) -> None:
        name = flag.partition("=")[0]
        known = [each for action in self._actions for each in action.option_strings]
        if name.startswith("--") and not any(each.startswith(name) for each in known):
            like = difflib.get_close_matches(name, known, 1)
            self.error(f"unknown flag {name}" + (f": did you mean {like[0]}?" if like else ""))


def parse(arguments: Sequence[str] | None = None) -> Asked:
    """Reads a command line, ``sys.argv`` where None; exits with 2 where its grammar is wrong."""
    given = vars(build_parser().parse_args(arguments))
    make = given.pop("make")
    return Asked(lambda: make(given), given.get("verbose", False))


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = _Parser(
        prog="vidscan",
        description="Tells whether the faces in a video were synthesised, when, and which.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vidscan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _add_command(commands, "run", "scan clips", _scan_request)
    _add_places(run, "CLIP")
    _add_scan_flags(run, without=FOLDERS_ALONE)

    folder = _add_command(commands, "dir", "scan all clips and stills in a folder", _scan_request)
    _add_places(folder, "FOLDER")
    folder.add_argument(
        "--engine", choices=["local", "ray"], help="scan here, or on a Ray cluster (default local)"
    )
    add_flags(folder, RayOptions)
    _add_scan_flags(folder)

    image = _add_command(commands, "image", "scan stills", _scan_request)
    _add_places(image, "STILL")
    _add_scan_flags(image, without=(*FOLDERS_ALONE, "annotate"), sampled=False)

    export = _add_command(commands, "export", "write a checkpoint as a file for deployment", _export_options)
    export.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        default=None,
        metavar="CHECKPOINT",
        help=f"a .keras file, or the name of one that ships (default: {FAST})",
    )
    export.add_argument("--format", required=True, choices=[*EXPORT_FORMATS])
    export.add_argument("--out", required=True, type=Path, metavar="FILE", help="ends in .onnx")
    add_flags(export, ExportOptions)

    serve = _add_command(commands, "serve", "open a page to scan and work through results", _serve_request)
    told = "a folder whose clips and stills may be scanned, or a store (default: uploads alone)"
    serve.add_argument("place", nargs="?", type=Path, metavar="FOLDER|STORE", default=None, help=told)
    add_flags(serve, ServeRequest)
    _add_stages(serve)

    doctor = _add_command(commands, "doctor", "check the installation", _doctor_request)
    add_flags(doctor, DoctorRequest)
    for each in (export, serve, doctor):
        each.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")
    return parser


def _add_command(
    commands: argparse._SubParsersAction[Any],
    name: str,
    help_text: str,
    make: Callable[[dict[str, Any]], Request],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(make=make, command=name)
    return parser


def _add_places(parser: argparse.ArgumentParser, name: str) -> None:
    """What to scan: one folder or none, else one place or more."""
    what, nargs = ("a folder", "?") if name == "FOLDER" else ("a path", "+")
    told = f"{what}, or a URL such as s3://bucket/prefix"
    # A default of its own: argparse would make a path of the mark for none.
    parser.add_argument("places", nargs=nargs, type=place, metavar=name, default=None, help=told)


def place(text: str) -> Path | str:
    """A path, or a URL as it stands: a path would take its double slash for one."""
    return text if is_remote(text) else local_path(text)


def stages() -> dict[str, type[Any]]:
    """The dataclasses in :class:`ScanOptions` by the names of their fields."""
    return get_type_hints(ScanOptions)


def _add_scan_flags(
    parser: argparse.ArgumentParser, *, without: Collection[str] = (), sampled: bool = True
) -> None:
    _add_stages(parser, sampled=sampled)
    add_flags(parser, ScanRequest, without)


def _add_stages(parser: argparse.ArgumentParser, *, sampled: bool = True) -> None:
    for kind in stages().values():
        if sampled or kind is not SamplingOptions:
            add_flags(parser, kind)
        if kind is ModelOptions:
            fast = f"{FAST} alone: quicker, and blind to more"
            parser.add_argument("--fast", action="store_true", help=fast)


def _scan_request(given: dict[str, Any]) -> ScanRequest:
    ray = RayOptions(**values_of(RayOptions, given)) if given.get("engine") == "ray" else None
    if ray is None and given.keys() & {"ray_address", "ray_workers", "ray_gpus"}:
        raise UsageError("--ray-address, --ray-workers and --ray-gpus go with --engine ray: add it")
    places = given["places"]
    listed = places if isinstance(places, list) else [] if places is None else [places]
    return ScanRequest(
        given["command"],
        tuple(listed),
        scan_options(given),
        ray,
        **values_of(ScanRequest, given),
    )


def scan_options(given: dict[str, Any]) -> ScanOptions:
    """The options that flags ask for, by their names; raises UsageError where one cannot work."""
    if given.get("fast"):
        if "model" in given:
            raise UsageError(f"--fast takes {FAST} alone, and --model names others: leave one of them out")
        given = given | {"model": [Path(FAST)]}
    # What is kept of the faces depends on three flags together.
    kinds = {name: kind for name, kind in stages().items() if name != "evidence"}
    options = ScanOptions(**{name: kind(**values_of(kind, given)) for name, kind in kinds.items()})
    shown = has_page(given.get("report", ())) or ("store" in given and given.get("no_pictures", True))
    return ScanOptions.of(options, evidence=shown, explain="explain" in given or "explain_dir" in given)


def _export_options(given: dict[str, Any]) -> ExportOptions:
    return ExportOptions(
        given["format"], given["out"], given["checkpoint"], **values_of(ExportOptions, given)
    )


def _serve_request(given: dict[str, Any]) -> ServeRequest:
    return ServeRequest(given["place"], scan_options(given), **values_of(ServeRequest, given))


def _doctor_request(given: dict[str, Any]) -> DoctorRequest:
    return DoctorRequest(**values_of(DoctorRequest, given))
