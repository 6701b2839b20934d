"""Opens the store that a scan writes into: where it lies, and whether it is new, gone on with, or refused."""

from __future__ import annotations

import os
from pathlib import Path

from vidscan.errors import StoreError
from vidscan.media import storage
from vidscan.results.store import ENDING, Store
from vidscan.results.tables import Heading
from vidscan.results.terms import compare_terms
from vidscan.system.files import raising, sha256_of
from vidscan.system.user_folder import cache_folder, trusted_folder

JOURNAL = ".journal"
"""Of the names of what vidscan 0.1.0 kept beside a report."""


def store_beside(report: Path | str) -> Path:
    """Where a report's results lie until it is written: beside it, or of one at a URL in the user's folder.

    Raises StoreError where that cannot be used.
    """
    if isinstance(report, Path):
        return report.with_name(report.name + ENDING)
    return own_store(storage.file_name(report), report)


def own_store(name: str, place: str) -> Path:
    """Where results lie in the user's folder that are told by a ``name`` and apart by the whole ``place``.

    Raises StoreError where that cannot be used.
    """
    try:
        folder = trusted_folder() / "stores"
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{cache_folder()}: no store can be kept there ({error}): make it yours alone, or name another "
            "folder with VIDSCAN_CACHE"
        ) from error
    return folder / f"{name[:100]}-{sha256_of(os.fsencode(place))[:12]}{ENDING}"


def open_store(path: Path | None, heading: Heading, *, resume: bool, kept: bool) -> Store:
    """The store for a scan, claimed: a new one, or with ``resume`` the one that is there.

    Where it is not ``kept``, but lies beside a report, a new one takes the place of one whose report is
    written. Raises StoreError where a store is there that would be lost, or cannot be gone on with.
    """
    if path is None:
        return Store.create(None, heading)
    with raising(lambda why: StoreError(f"{path}: cannot be looked up ({why}): name another")):
        if _is_free(path):
            return Store.create(path, heading)
        if path.is_symlink() and not kept:
            raise StoreError(f"{path}: is a link, which vidscan never makes there: delete it")
    store = Store.open(path, write=True)
    try:
        store.claim()
        if resume:
            compare_terms(store.shown, store.heading.terms, heading.terms)
            store.amend(heading)
            return store
        held = store.count()
        if held and (kept or not store.complete):
            anew = "name another" if kept else "delete it to start anew"
            what = "results" if kept else "finished files of an interrupted scan"
            raise StoreError(f"{path}: holds {held} {what}: add --resume to go on with it, or {anew}")
    except BaseException:
        store.close()
        raise
    store.delete()
    return Store.create(path, heading)


def require_no_journal(report: Path | str | None) -> None:
    """Raises StoreError where a journal of vidscan 0.1.0 lies beside a report."""
    if isinstance(report, Path) and (journal := report.with_name(report.name + JOURNAL)).exists():
        raise StoreError(
            f"{journal}: is the journal of a scan by vidscan 0.1.0: finish that with 0.1.0, or delete it to "
            "start anew"
        )


def _is_free(path: Path) -> bool:
    """Whether nothing lies there, or a file into which nothing was written yet."""
    if path.is_symlink():
        return False
    return not path.exists() or (path.is_file() and not path.stat().st_size)
