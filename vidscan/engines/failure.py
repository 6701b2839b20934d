"""The report on a source of which the engine itself must say that it failed: its worker is gone."""

from __future__ import annotations

from collections.abc import Sequence

from vidscan.errors import WorkerError, escaped
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, ModelCard, Report, Source


def blamed(
    source: Source, cause: str, options: ScanOptions, card: ModelCard, members: Sequence[ModelCard]
) -> Report:
    """A FAILED report.

    Args:
        source: what was analysed when the worker went.
        cause: how it went.
        options: echoed in the report.
        card: of the model that scores, or of the ensemble.
        members: the cards of the ensemble's members; empty for one model.
    """
    message = f"{escaped(source.name)}: {cause} while it was analysed: leave the file out"
    return unread(source, ErrorInfo(WorkerError.__name__, message), options, card, members)


def unread(
    source: Source,
    error: ErrorInfo | None,
    options: ScanOptions,
    card: ModelCard,
    members: Sequence[ModelCard],
) -> Report:
    """A FAILED report of which nothing is known but the error."""
    return Report.failed(source, error, options=options.echo(), model_card=card, members=tuple(members))
