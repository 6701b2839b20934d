"""What a store holds while another process scans into it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from vidscan.errors import StoreError
from vidscan.results.store import Store


def finished(store: Path) -> int:
    """How many results there are; none before it is made, or once it is deleted."""
    try:
        with closing(Store.open(store, write=False)) as opened:
            return opened.count()
    except StoreError:
        return 0
