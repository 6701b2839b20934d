"""Failed reports that an engine writes itself, as the worker that had the source is gone."""

from __future__ import annotations

from collections.abc import Sequence

from vidscan.errors import WorkerError, escaped
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, ModelCard, Report, Source


def worker_died_report(
    source: Source, cause: str, options: ScanOptions, card: ModelCard, members: Sequence[ModelCard]
) -> Report:
    """The FAILED report on a source whose worker died; ``cause`` says how."""
    message = f"{escaped(source.name)}: {cause} while it was analysed: leave the file out"
    return failed_report(source, ErrorInfo(WorkerError.__name__, message), options, card, members)


def failed_report(
    source: Source,
    error: ErrorInfo | None,
    options: ScanOptions,
    card: ModelCard,
    members: Sequence[ModelCard],
) -> Report:
    """A FAILED report of which nothing is known but the error."""
    return Report.failed(source, error, options=options.to_report(), model_card=card, members=tuple(members))
