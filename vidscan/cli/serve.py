"""What ``vidscan serve`` does: a store, networks, and a server on this machine. Composition only."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidscan.cli.arguments import EXIT_OK
from vidscan.cli.plan import Parts, tell_what_takes_long
from vidscan.cli.requests import ENDING, ServeRequest, is_loopback
from vidscan.engines.isolated.parent import IsolatedEngine
from vidscan.errors import StoreError, UsageError
from vidscan.media.ffmpeg.program import find_program
from vidscan.models.loading import with_runtimes
from vidscan.options import EvidenceOptions, ScanOptions
from vidscan.provenance.trust import certificates_in
from vidscan.report.escape import visible
from vidscan.results.opening import own_store
from vidscan.results.store import Store
from vidscan.results.terms import compare_terms, heading_of

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel
    from vidscan.serve.access import Door
    from vidscan.serve.folder import Folder
    from vidscan.serve.uploads import UploadFolder


def prepare_server(request: ServeRequest, parts: Parts, opened: ExitStack) -> Callable[[], int]:
    """Finds out all that can be wrong, and returns the work: to serve until Ctrl-C. It gives the exit code.

    Raises VidscanError where something cannot work; nothing is served then.
    """
    try:
        from vidscan.serve.server import Server, listen
        from vidscan.serve.service import Service
    except ModuleNotFoundError as error:
        raise UsageError(
            f"vidscan serve needs {error.name}, which is not installed: pip install 'vidscan[serve]'"
        ) from error

    folder, where, is_there = _places(request)
    find_program()
    certificates_in(request.options.provenance.trust)
    listening = opened.enter_context(listen(request.host, request.port))
    if sys.stderr.isatty():
        tell_what_takes_long()
    models = parts.load_models(request.options.model.paths or None, runtime=request.options.model.runtime)
    store, options, misfit = _open_store(where, request.options, models, is_there=is_there)
    opened.callback(store.close)
    engine = IsolatedEngine(options, models)
    service = Service(store, engine, folder, _uploads(request), misfit)
    opened.callback(service.close)
    door = _door(request, listening.getsockname()[1])
    for line in _told(request, store, misfit):
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


def _places(request: ServeRequest) -> tuple[Folder | None, Path | None, bool]:
    """The folder to scan, where the store lies (None: in memory), and whether it must be there already."""
    from vidscan.serve.folder import Folder

    place = request.place
    if place is None:
        return None, request.store, False
    if not place.is_dir() and (place.is_file() or place.suffix == ENDING):
        if request.store is not None:
            raise UsageError(f"{place} is a store already: leave --store out")
        return None, place, True
    folder = Folder.at(place)
    return folder, request.store or own_store(folder.root.name, str(folder.root)), False


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


def _open_store(
    path: Path | None, options: ScanOptions, models: Sequence[LoadedModel], *, is_there: bool
) -> tuple[Store, ScanOptions, str | None]:
    """The store, a new one where there is none; the options to scan with; and why they do not fit it."""
    options = with_runtimes(ScanOptions.of(options, evidence=True), models)
    if path is None or not (is_there or path.exists()):
        return Store.create(path, heading_of(options, models)), options, None
    store = Store.open(path, write=True)
    terms, evidence = store.heading.terms, store.heading.options.get("evidence")
    options = replace(options, evidence=_evidence(evidence, options.evidence))
    try:
        compare_terms(store.shown, terms, heading_of(options, models).terms)
    except StoreError as error:
        return store, options, f"{error}, or keep new results elsewhere with --store"
    return store, options, None


def _evidence(told: Any, asked: EvidenceOptions) -> EvidenceOptions:
    """How many faces a store's scans keep, which follows from how many sources its first scan had."""
    try:
        kept = EvidenceOptions(**told)
    except (TypeError, UsageError):
        return asked
    return asked if asked.explained and not kept.explained else kept


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
