"""What a scan writes beside its report: heat maps as PNG files, annotated videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.errors import UsageError, VidscanError
from vidscan.options import VerdictOptions
from vidscan.records import Report, Source, SourceKind, Status

if TYPE_CHECKING:
    from rich.console import Console

    from vidscan.media.ffmpeg.redraw import Codec


@dataclass(frozen=True, slots=True)
class Beside:
    """Where to write. ``annotated`` is a file for one clip that was named, a folder else (``in_folder``)."""

    heat_maps: Path | None
    annotated: Path | None
    in_folder: bool

    def check(self, sources: Sequence[Source]) -> None:
        """Finds out before any work whether the places can be written to; makes the folders.

        Raises:
            UsageError: the annotated video's name is no MP4 file's, or the clip's own.
            ReportError: a place cannot be written to.
        """
        from vidscan.render.annotate import check_name
        from vidscan.render.heatmaps import check_folder

        if self.heat_maps is not None:
            check_folder(self.heat_maps, "--explain-dir")
        if self.annotated is None:
            return
        if any(source.remote is not None for source in sources):
            raise UsageError("--annotate needs clips on this machine's disk: fetch them first")
        if self.in_folder:
            check_folder(self.annotated, "--annotate")
            return
        check_name(self.annotated)
        check_folder(self.annotated.parent, "--annotate")
        if any(_same(self.annotated, source.path) for source in sources):
            raise UsageError(
                f"--annotate {str(self.annotated)!r}: that is the clip itself: name another file"
            )

    def write_heat_maps(self, report: Report) -> None:
        """Writes a source's heat maps; raises ReportError where they cannot be written."""
        from vidscan.render.heatmaps import write_heat_maps

        if self.heat_maps is not None:
            write_heat_maps(report.source, report.evidence, self.heat_maps)

    def write_annotated(
        self, reports: Sequence[Report], options: VerdictOptions, console: Console
    ) -> Iterator[tuple[Path, Codec | VidscanError]]:
        """Writes the annotated videos under a progress display.

        Args:
            reports: stills and failed sources among them are passed over.
            options: of the verdict; see :func:`vidscan.render.annotate.annotate`.
            console: for the progress display.

        Yields:
            Each file with what it was encoded with, or why it could not be written.
        """
        from vidscan.cli.progress import FileProgress
        from vidscan.render.annotate import annotate

        for report in reports if self.annotated is not None else ():
            if report.status is Status.FAILED or report.source.kind is not SourceKind.VIDEO:
                continue
            path = self._annotated_path(report.source)
            with FileProgress(
                console, f"annotating {report.source.path.name}", report.stats.duration_s
            ) as bar:
                try:
                    outcome: Codec | VidscanError = annotate(report, path, options, bar.reached)
                except VidscanError as error:
                    outcome = error
            yield path, outcome

    def _annotated_path(self, source: Source) -> Path:
        from vidscan.render.annotate import SUFFIX
        from vidscan.render.heatmaps import file_stem

        assert self.annotated is not None
        if self.in_folder:
            return self.annotated / f"{file_stem(source)}_annotated{SUFFIX}"
        return self.annotated


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


Say = Callable[[str], None]
"""Tells a person something in one line."""


def say_annotated(written: Iterator[tuple[Path, Codec | VidscanError]], say: Say, complain: Say) -> bool:
    """Tells where each annotated video lies, or why there is none; False where one is missing."""
    from vidscan.report.escape import visible

    whole = True
    for path, outcome in written:
        if isinstance(outcome, VidscanError):
            complain(f"vidscan: {visible(str(outcome))}")
            whole = False
            continue
        note = (
            "" if outcome.plays else f" ({outcome.name}, which few browsers play: this ffmpeg has no H.264)"
        )
        say(f"annotated video written to {visible(str(path))}{note}")
    return whole
