"""The ``vidscan`` command: flags -> request -> work -> exit code. No logic, nothing heavy imported."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from typing import TYPE_CHECKING

from vidscan.cli.arguments import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, parse
from vidscan.cli.requests import DoctorRequest, ExportOptions, Request, ScanRequest, ServeRequest
from vidscan.errors import VidscanError

if TYPE_CHECKING:
    from vidscan.cli.plan import Parts

__all__ = ["EXIT_INTERRUPTED", "EXIT_OK", "EXIT_SOME_FAILED", "EXIT_USAGE", "complain", "main"]


def main(arguments: Sequence[str] | None = None, parts: Parts | None = None) -> int:
    """The ``vidscan`` command; returns the exit code. Tests give ``arguments`` and ``parts``."""
    asked = parse(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals without Unicode
    code_of_errors = EXIT_USAGE  # until the work begins, an error is wrong usage
    try:
        with ExitStack() as opened:
            work = _prepare(asked.request(), parts, opened)
            code_of_errors = EXIT_SOME_FAILED
            return work()
    except VidscanError as error:
        complain(error, verbose=asked.verbose)
        return code_of_errors
    except KeyboardInterrupt:
        print("vidscan: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def complain(error: BaseException, *, verbose: bool) -> None:
    """Prints an error as one line on stderr; its traceback too where ``verbose``."""
    from vidscan.report.escape import visible

    if verbose:
        traceback.print_exception(error)
    print(f"vidscan: {visible(str(error))}", file=sys.stderr)


def _prepare(request: Request, parts: Parts | None, opened: ExitStack) -> Callable[[], int]:
    """What a command shall do, found to be possible as far as that is known beforehand."""
    match request:
        case ScanRequest():
            from vidscan.cli.plan import Parts
            from vidscan.cli.scan import prepare_scan

            return prepare_scan(request, parts or Parts(), opened)
        case ServeRequest():
            from vidscan.cli.plan import Parts
            from vidscan.cli.serve import prepare_server

            return prepare_server(request, parts or Parts(), opened)
        case DoctorRequest():
            return lambda: _examine(request)
        case ExportOptions():
            return lambda: _export(request)


def _examine(request: DoctorRequest) -> int:
    from rich.console import Console

    from vidscan.cli.doctor import print_diagnosis

    return EXIT_OK if print_diagnosis(Console(), request.model) else EXIT_SOME_FAILED


def _export(options: ExportOptions) -> int:
    from rich.console import Console

    from vidscan.cli.export import export
    from vidscan.models.card_file import card_path

    how = export(options).metrics["export"]
    said = f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, card in {card_path(options.out)}"
    Console(highlight=False).print(
        f"{said}; largest difference from Keras {how['largest_difference']:.2g}", markup=False
    )
    return EXIT_OK
