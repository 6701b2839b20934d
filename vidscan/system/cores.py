"""Counts the cores that decoding, detection and scoring share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LIMIT = "VIDSCAN_CORES"
"""The environment variable that limits a process to fewer cores, if several share a machine."""

_NO_LIMIT = 1 << 16


def cores() -> int:
    """Returns the cores that this process may use, also in a container with a limit."""
    return max(1, min(_offered(), int(os.environ.get(LIMIT, _NO_LIMIT))))


def _offered() -> int:
    if sys.platform != "linux":
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    return max(1, min(len({_siblings(core) for core in allowed}), _quota()))


def _siblings(core: int) -> str:
    """Returns the hardware threads of a core's physical core: two compute no faster than one."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(core)


def _quota() -> int:
    """Returns the cores that the container's limit amounts to, rounded up; very many without a limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return -(-int(limit) // int(period))
    except (OSError, ValueError):  # another control group version, or "max"
        return _NO_LIMIT
