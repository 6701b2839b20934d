"""What shows a person the reports, and what writes beside them: heat maps and annotated videos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from vidscan.cli.progress import FileProgress
from vidscan.cli.requests import ScanRequest
from vidscan.errors import UsageError, VidscanError
from vidscan.media.sources import SUBFOLDERS
from vidscan.options import VerdictOptions
from vidscan.protocols import Results
from vidscan.records import Report, Source, SourceKind, Status
from vidscan.render.annotate import SUFFIX, annotate, check_name
from vidscan.render.heatmaps import check_folder, file_stem, write_heat_maps
from vidscan.report.escape import visible
from vidscan.report.summary import of_streams
from vidscan.report.terminal import folder, text
from vidscan.report.wording import counted, passed_over


class HeatMaps:
    """Writes each report's heat maps into a folder."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is there already."""
        self._folder = folder

    def take(self, report: Report) -> None:
        """Writes a source's heat maps; raises ReportError where they cannot be written."""
        write_heat_maps(report.source, report.evidence, self._folder)

    def finish(self) -> None:
        """Does nothing: all are written."""


def check_annotated(place: Path, sources: Sequence[Source], *, in_folder: bool) -> None:
    """Finds out before any work whether annotated videos can be written to a place; makes its folder.

    Raises UsageError where the name is not an MP4 file's, or is the clip's own, or a clip is remote, or all
    sources are stills; and ReportError where the place cannot be written to.
    """
    if sources and all(source.kind is SourceKind.IMAGE for source in sources):
        raise UsageError(
            f"--annotate draws into clips, and {sources[0].name} is a still: use --explain-dir DIR or "
            "--report OUT.html, which show its faces"
        )
    if any(source.remote is not None for source in sources):
        raise UsageError("--annotate needs clips on this machine's disk: fetch them first")
    if in_folder:
        if place.suffix.lower() == SUFFIX and not place.is_dir():
            raise UsageError(
                f"--annotate {str(place)!r}: a video is written for each clip, so name a folder, such as "
                f"{str(place.with_suffix(''))!r}"
            )
        check_folder(place, "--annotate")
        return
    check_name(place)
    check_folder(place.parent, "--annotate")
    if any(_same(place, source.path) for source in sources):
        raise UsageError(f"--annotate {str(place)!r}: that is the clip itself: name another file")


def write_annotated(
    request: ScanRequest, options: VerdictOptions, reports: Sequence[Report], say: Callable[[str], None]
) -> bool:
    """Writes the annotated videos that were asked for, also of clips that an earlier scan finished.

    Tells where each lies or, on stderr, why it could not be written; False where one could not.
    """
    if request.annotate is None:
        return True
    written = True
    for report in reports:
        if report.status is Status.FAILED or report.source.kind is not SourceKind.VIDEO:
            continue
        name = f"{file_stem(report.source)}_annotated{SUFFIX}"
        path = request.annotate if request.one_clip else request.annotate / name
        words, length = f"annotating {report.source.path.name}", report.stats.duration_s
        try:
            with FileProgress(Console(stderr=True, quiet=request.quiet), words, length) as bar:
                codec = annotate(report, path, options, bar.reached)
        except VidscanError as error:
            print(f"vidscan: {visible(str(error))}", file=sys.stderr)
            written = False
            continue
        notes = [] if codec.plays else [f"{codec.name}, which few browsers play: this ffmpeg has no H.264"]
        notes += ["the first of its streams"] if of_streams(report) else []
        noted = f" ({', '.join(notes)})" if notes else ""
        say(f"annotated video written to {visible(str(path))}{noted}")
    return written


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


class Terminal:
    """Shows each report of single files, or a summary of a folder's in the end; of a watched one both."""

    def __init__(
        self, console: Console, request: ScanRequest, results: Results, skipped: Mapping[str, int]
    ) -> None:
        """``results`` are what the summary is about, besides what was ``skipped``, as counted in a plan."""
        self._console, self._request, self._results = console, request, results
        self._suffixes = {each: count for each, count in skipped.items() if each != SUBFOLDERS}
        self._subfolders = skipped.get(SUBFOLDERS, 0)

    def take(self, report: Report) -> None:
        """Shows a file as soon as it is finished."""
        if self._request.quiet and report.error is not None:
            print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
        if self._request.watch:
            folder.print_line(self._console, report)
        elif self._request.command != "dir":
            text.print_report(self._console, report)
            self._console.print()

    def finish(self) -> None:
        """Shows what there is of all files together."""
        if self._request.dataset is not None:
            folder.print_totals(self._console, self._results.summary())
        elif reports := self._results.reports():
            if self._request.command == "dir":
                folder.print_summary(self._console, reports)
            if self._request.verbose:
                folder.print_timings(self._console, reports)
        if self._suffixes:
            self._console.print(visible(passed_over(self._suffixes)), style="dim", markup=False)
        if self._subfolders:
            told = f"{counted(self._subfolders, 'subfolder')} not looked into: --recursive does that"
            self._console.print(told, style="dim", markup=False)
