"""The sink that shows a person what was found."""

from __future__ import annotations

import sys

from rich.console import Console

from vidscan.cli.requests import ScanRequest
from vidscan.protocols import Results
from vidscan.records import Report
from vidscan.report.escape import visible
from vidscan.report.terminal import text


class Terminal:
    """Shows each report of single files, or a summary of a folder's in the end."""

    def __init__(self, console: Console, request: ScanRequest, results: Results) -> None:
        """``results`` are what the summary is about."""
        self._console, self._request, self._results = console, request, results

    def take(self, report: Report) -> None:
        """Shows a file as soon as it is finished."""
        if self._request.quiet and report.error is not None:
            print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
        if self._request.command != "dir":
            text.print_report(self._console, report)
            self._console.print()

    def finish(self) -> None:
        """Shows what there is of all files together."""
        if self._request.dataset is not None:
            text.print_totals(self._console, self._results.summary())
        elif reports := self._results.reports():
            if self._request.command == "dir":
                text.print_summary(self._console, reports)
            if self._request.verbose:
                text.print_timings(self._console, reports)
