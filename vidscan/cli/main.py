"""The ``vidscan`` command: flags -> command -> exit code. No logic of its own, nothing heavy imported."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from vidscan.cli.arguments import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, build_parser
from vidscan.cli.scan import scan
from vidscan.errors import UsageError, VidscanError
from vidscan.media import sources
from vidscan.media.source_lists import from_list
from vidscan.records import Source, SourceKind

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["EXIT_INTERRUPTED", "EXIT_OK", "EXIT_SOME_FAILED", "EXIT_USAGE", "complain", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The ``vidscan`` command; returns its exit code."""
    flags = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals without Unicode
    try:
        return _COMMANDS[flags.command](flags)
    except VidscanError as error:
        complain(error, verbose=flags.verbose)
        return EXIT_SOME_FAILED if flags.started else EXIT_USAGE
    except KeyboardInterrupt:
        print("vidscan: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def complain(error: BaseException, *, verbose: bool) -> None:
    """Prints an error as one line on stderr; its traceback too where ``verbose``."""
    from vidscan.report.escape import visible

    if verbose:
        traceback.print_exception(error)
    print(f"vidscan: {visible(str(error))}", file=sys.stderr)


def run_clips(flags: Namespace) -> int:
    """``vidscan run``."""
    return scan(flags, lambda: sources.from_paths(flags.paths))


def run_stills(flags: Namespace) -> int:
    """``vidscan image``."""
    return scan(flags, lambda: sources.from_paths(flags.paths, SourceKind.IMAGE))


def run_folder(flags: Namespace) -> int:
    """``vidscan dir``."""
    return scan(flags, lambda: _in_folder(flags))


def _in_folder(flags: Namespace) -> list[Source]:
    """What ``vidscan dir`` shall scan."""
    if (flags.folder is None) == (flags.from_list is None):
        raise UsageError("name either a folder or a list with --from-list")
    if flags.from_list is not None:
        return from_list(flags.from_list)
    return sources.from_folder(flags.folder, recursive=flags.recursive)


def run_doctor(flags: Namespace) -> int:
    """``vidscan doctor``."""
    from rich.console import Console

    from vidscan.cli.doctor import print_diagnosis

    return EXIT_OK if print_diagnosis(Console(), flags.model) else EXIT_SOME_FAILED


def run_export(flags: Namespace) -> int:
    """``vidscan export``."""
    from rich.console import Console

    from vidscan.cli.export import ExportOptions, export
    from vidscan.models.card_file import card_path

    options = ExportOptions(flags.format, flags.out, flags.checkpoint, flags.calibrate)
    flags.started = True
    card = export(options)
    how = card.metrics["export"]
    said = f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, card in {card_path(options.out)}"
    Console(highlight=False).print(
        f"{said}; largest difference from Keras {how['largest_difference']:.2g}", markup=False
    )
    return EXIT_OK


_COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "run": run_clips,
    "dir": run_folder,
    "image": run_stills,
    "doctor": run_doctor,
    "export": run_export,
}
