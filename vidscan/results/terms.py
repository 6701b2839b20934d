"""What results depend on: those of scans on other terms cannot stand in one store or report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidscan.errors import StoreError
from vidscan.models.card_file import checkpoint_sha256
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.report.codec import plain
from vidscan.report.document import SCHEMA as REPORT_SCHEMA
from vidscan.report.document import Document, model_document
from vidscan.results.tables import Heading, now
from vidscan.version import __version__

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

_DIFFERENCES_SHOWN = 3
_VALUE_SHOWN = 80


def heading_of(options: ScanOptions, models: Sequence[LoadedModel]) -> Heading:
    """The heading of a store for the results of a scan with these options and models."""
    ensemble = Ensemble.of(models)
    model = model_document(ensemble.card, ensemble.member_cards)
    return Heading(scan_terms(options, models), plain(options.to_report()), model, __version__, now())


def scan_terms(options: ScanOptions, models: Sequence[LoadedModel]) -> Document:
    """What the results of a scan with these options and models depend on."""
    ensemble = Ensemble.of(models)
    hashes = [checkpoint_sha256(model.card, model.path) for model in models]
    return terms_of(options.to_report(), model_document(ensemble.card, ensemble.member_cards), hashes)


def terms_of(options: Mapping[str, Any], model: Document, checkpoints: Sequence[str]) -> Document:
    """What results depend on.

    ``options`` and ``model``, the card, are as the report has them. The checkpoints' paths do not count;
    their contents do, by the SHA-256 of each file.
    """
    terms: Document = plain(
        {
            "report schema": REPORT_SCHEMA,
            "vidscan": __version__,
            "checkpoint SHA-256": checkpoints,
            "card": model,
            "options": {name: value for name, value in options.items() if name != "model"},
        }
    )
    return terms


def compare_terms(place: str, then: Any, now: Document) -> None:
    """Raises StoreError where a scan on the terms ``now`` cannot go on with one on those ``then``."""
    before, after = dict(_leaves(then)), dict(_leaves(now))
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not differing:
        return
    shown = [
        f"{name} was {_shown(before.get(name))}, now {_shown(after.get(name))}"
        for name in differing[:_DIFFERENCES_SHOWN]
    ]
    more = len(differing) - len(shown)
    raise StoreError(
        f"{place}: was written with other options ({'; '.join(shown)}{f'; {more} more' if more else ''}): "
        "use the same ones, or delete it to start anew"
    )


def _shown(value: Any) -> str:
    """A value in ASCII, cut short: a card's texts are untrusted."""
    text = json.dumps(value)
    return text if len(text) <= _VALUE_SHOWN else text[: _VALUE_SHOWN - 3] + "..."


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in nested objects, each under the names that lead to it."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name, tree
