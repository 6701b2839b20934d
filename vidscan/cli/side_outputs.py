"""The sinks that write beside the report: heat maps as PNG files, annotated videos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from vidscan.cli.progress import FileProgress
from vidscan.errors import UsageError, VidscanError
from vidscan.options import VerdictOptions
from vidscan.records import Report, Source, SourceKind, Status
from vidscan.render.annotate import SUFFIX, annotate, check_name
from vidscan.render.heatmaps import check_folder, file_stem, write_heat_maps
from vidscan.report.escape import visible


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

    Raises UsageError where the name is not an MP4 file's, or is the clip's own, or a clip is remote; and
    ReportError where the place cannot be written to.
    """
    if any(source.remote is not None for source in sources):
        raise UsageError("--annotate needs clips on this machine's disk: fetch them first")
    if in_folder:
        check_folder(place, "--annotate")
        return
    check_name(place)
    check_folder(place.parent, "--annotate")
    if any(_same(place, source.path) for source in sources):
        raise UsageError(f"--annotate {str(place)!r}: that is the clip itself: name another file")


class AnnotatedVideos:
    """Writes the annotated videos once the scan is over, also of clips that an earlier scan finished."""

    def __init__(
        self,
        place: Path,
        options: VerdictOptions,
        reports: Callable[[], Sequence[Report]],
        say: Callable[[str], None],
        *,
        in_folder: bool,
        quiet: bool,
    ) -> None:
        """``place``: see :func:`check_annotated`. ``reports`` gives all that are finished."""
        self._place, self._options, self._reports, self._say = place, options, reports, say
        self._in_folder, self._quiet = in_folder, quiet
        self.all_written = True

    def take(self, report: Report) -> None:
        """Does nothing: the videos are written in the end."""

    def finish(self) -> None:
        """Writes the videos and tells where each lies; where one cannot be written, why, on stderr."""
        for report in self._reports():
            if report.status is Status.FAILED or report.source.kind is not SourceKind.VIDEO:
                continue
            try:
                self._say(self._write(report))
            except VidscanError as error:
                print(f"vidscan: {visible(str(error))}", file=sys.stderr)
                self.all_written = False

    def _write(self, report: Report) -> str:
        stem = f"{file_stem(report.source)}_annotated{SUFFIX}"
        path = self._place / stem if self._in_folder else self._place
        words = f"annotating {report.source.path.name}"
        with FileProgress(Console(stderr=True, quiet=self._quiet), words, report.stats.duration_s) as bar:
            codec = annotate(report, path, self._options, bar.reached)
        note = f" ({codec.name}, which few browsers play: this ffmpeg has no H.264)"
        return f"annotated video written to {visible(str(path))}{'' if codec.plays else note}"


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
