"""How a Ray cluster is reached. The only module that imports Ray, and only when it is used."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

from vidscan.errors import ClusterError, UsageError, quoted

log = logging.getLogger(__name__)

CONNECT_LIMIT_S = 10.0
"""Limit on how long a head node takes to accept a connection."""


def import_ray() -> Any:
    """Imports the package; raises UsageError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray sends no statistics home
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs Ray: pip install 'vidscan[ray]'") from error
    return ray


def connect(ray: Any, address: str | None) -> str:
    """Connects to a cluster; returns its dashboard's address, "" where it has none.

    ``address`` is as ``ray.init`` takes it; None takes the cluster at hand, or starts one on this machine.
    Raises ClusterError where there is no cluster, or it runs another Ray or Python.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    _keep_words_off_stdout()
    _require_listener(address or os.environ.get("RAY_ADDRESS", ""))
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM) if in_main}
    try:
        context = ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ClusterError(
            f"no Ray cluster at {address or 'hand'} ({quoted(str(error))}): check --ray-address, that `ray "
            "status` there shows it, and RAY_AUTH_MODE=token if it asks for a token"
        ) from error
    finally:
        for (
            each,
            handler,
        ) in handlers.items():  # Ray sets one of its own, which knows nothing of stores
            signal.signal(each, handler)
    page = getattr(context, "dashboard_url", None)
    return f"http://{page}" if page else ""


def _require_listener(address: str) -> None:
    """Raises ClusterError where no process listens at the address: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_LIMIT_S).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address} ({error.strerror or error}): check --ray-address, and that the "
            "head node is up"
        ) from error


def _keep_words_off_stdout() -> None:
    """Logs what nodes print as they fail: Ray prints it to standard output, where the report may go."""
    from ray._private import worker

    def to_log(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        for line in data["lines"]:
            log.debug("%s", line)

    worker.print_to_stdstream = to_log
