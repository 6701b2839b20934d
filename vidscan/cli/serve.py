"""What ``vidscan serve`` does: a store, networks, and a server on this machine. Composition only."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.cli.arguments import EXIT_OK
from vidscan.cli.plan import Parts, tell_what_takes_long
from vidscan.cli.requests import ServeRequest, is_loopback
from vidscan.engines.isolated.parent import IsolatedEngine
from vidscan.errors import ReportError, StoreError, UsageError
from vidscan.media.ffmpeg.program import find_program
from vidscan.models.ensemble import Ensemble
from vidscan.models.loading import with_runtimes
from vidscan.options import EvidenceOptions, ScanOptions
from vidscan.provenance.trust import certificates_in
from vidscan.report.codec import plain
from vidscan.report.document import Document, model_document
from vidscan.report.escape import visible
from vidscan.results.in_memory import scan_terms
from vidscan.results.journal import compare_terms
from vidscan.results.store import ENDING, Store, now
from vidscan.results.tables import Heading
from vidscan.system.files import sha256_of
from vidscan.system.user_folder import cache_folder, trusted_folder
from vidscan.version import __version__

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel
    from vidscan.serve.access import Door
    from vidscan.serve.uploads import UploadFolder


def prepare_server(request: ServeRequest, parts: Parts, opened: ExitStack) -> Callable[[], int]:
    """Finds out all that can be wrong, and returns the work: to serve until Ctrl-C. It gives the exit code.

    Raises VidscanError where something cannot work; nothing is served then.
    """
    _require_libraries()
    from vidscan.serve.folder import Folder
    from vidscan.serve.server import Server, listen
    from vidscan.serve.service import Service

    place = request.place
    is_store = place is not None and not place.is_dir() and (place.is_file() or place.suffix == ENDING)
    if is_store and request.store is not None:
        raise UsageError(f"{place} is a store already: leave --store out")
    folder = None if place is None or is_store else Folder.at(place)
    find_program()
    certificates_in(request.options.provenance.trust)
    where = place if is_store else request.store
    if where is None and folder is not None:
        where = _own_store(folder.root)
    listening = opened.enter_context(listen(request.host, request.port))
    if sys.stderr.isatty():
        tell_what_takes_long()
    models = parts.load_models(request.options.model.paths or None, runtime=request.options.model.runtime)
    store, options, fits = _open_store(where, request.options, models, must_exist=is_store)
    opened.callback(store.close)

    def objection() -> str | None:
        if fits is None:
            with suppress(StoreError):
                store.claim()
                return None
            return "another vidscan scans into this store: wait for its end"
        return fits

    service = Service(store, IsolatedEngine(options, models), folder, _uploads(request), objection)
    opened.callback(service.close)
    door = _door(request, listening.getsockname()[1])
    for line in _told(request, store, fits):
        print(f"vidscan: {visible(line)}", file=sys.stderr)

    def started() -> None:
        address = _address(request.host, door.port)
        print(address + door.token, flush=True)
        if not request.no_browser and _has_screen():
            webbrowser.open(address + door.token_for_once())

    def work() -> int:
        Server(service, door, started).run(sockets=[listening])
        return EXIT_OK

    return work


def _door(request: ServeRequest, port: int) -> Door:
    from vidscan.serve.access import LOOPBACK_NAMES, Door

    names = {_in_address(request.host), *request.allowed_hosts}
    return Door(port, LOOPBACK_NAMES | {name.lower() for name in names}, not is_loopback(request.host))


def _address(host: str, port: int) -> str:
    """The page's address, up to the token."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else _in_address(host)
    return f"http://{shown}:{port}/?token="


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _has_screen() -> bool:
    """Whether a browser would open in a window; one in text would take over the terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _require_libraries() -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"vidscan serve needs {error.name}, which is not installed: pip install 'vidscan[serve]'"
        ) from error


def _own_store(folder: Path) -> Path:
    """Where the results of a folder lie that are to be kept nowhere else: in the user's own folder."""
    try:
        stores = trusted_folder() / "stores"
        stores.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{cache_folder()}: no results can be kept there ({error}): name another place with --store"
        ) from error
    return stores / f"{folder.name[:100]}-{sha256_of(os.fsencode(folder))[:12]}{ENDING}"


def _open_store(
    path: Path | None, options: ScanOptions, models: Sequence[LoadedModel], *, must_exist: bool
) -> tuple[Store, ScanOptions, str | None]:
    """The store, a new one where there is none, the options to scan with, and why they do not fit it."""
    options = with_runtimes(ScanOptions.of(options, evidence=True), models)
    if path is not None and (must_exist or path.exists()):
        store = Store.open(path, write=True)
        heading = store.heading
        options = replace(options, evidence=_evidence(heading.options, options.evidence))
        try:
            compare_terms("the store", heading.terms, scan_terms(options, models))
        except ReportError as error:
            return store, options, str(error)
        return store, options, None
    return Store.create(path, heading_of(options, models)), options, None


def _evidence(told: Document, default: EvidenceOptions) -> EvidenceOptions:
    """Which faces a store's scans keep: how many is no matter of taste where results lie side by side."""
    try:
        return EvidenceOptions(**told["evidence"])
    except (KeyError, TypeError, UsageError):
        return default


def heading_of(options: ScanOptions, models: Sequence[LoadedModel]) -> Heading:
    """What a new store says of the scans that go into it."""
    ensemble = Ensemble.of(models)
    model = model_document(ensemble.card, ensemble.member_cards)
    return Heading(scan_terms(options, models), plain(options.to_report()), model, __version__, now())


def _uploads(request: ServeRequest) -> UploadFolder:
    from vidscan.serve.uploads import UploadFolder

    scratch = request.options.storage.scratch
    try:
        return UploadFolder(scratch, int(request.max_upload * 1e9))
    except OSError as error:
        raise UsageError(
            f"{scratch or 'the folder for temporary files'}: no uploads can be kept there "
            f"({error.strerror}): name another with --scratch"
        ) from error


def _told(request: ServeRequest, store: Store, misfit: str | None) -> list[str]:
    """What a person should know before the page opens, in lines for stderr."""
    kept = "in memory, until this ends: --store keeps them" if store.path is None else f"in {store.path}"
    lines = [f"results are kept {kept}"]
    if misfit is not None:
        lines.append(f"nothing new can be scanned into it: {misfit}")
    if not is_loopback(request.host):
        lines.append(
            f"listening on {request.host}: everybody who reaches this machine and learns the token can read "
            "and change all results and have files scanned, and the network in between can read along"
        )
    return [*lines, "Ctrl-C ends this"]
