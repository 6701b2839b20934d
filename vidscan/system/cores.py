"""How many cores there are to be shared out among decoding, detection and scoring."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LIMIT = "VIDSCAN_CORES"
"""The environment variable that allows a process fewer cores than there are, as where several share them."""

_NO_LIMIT = 1 << 16


def cores() -> int:
    """The cores that this process may use, also where a container was given a few of the machine's."""
    return max(1, min(_offered(), int(os.environ.get(LIMIT, _NO_LIMIT))))


def _offered() -> int:
    if sys.platform != "linux":
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    return max(1, min(len({_siblings(core) for core in allowed}), _quota()))


def _siblings(core: int) -> str:
    """The hardware threads that share a core with this one: two of them compute no faster than one."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(core)


def _quota() -> int:
    """The cores that the container's limit amounts to, rounded up; very many where there is none."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return -(-int(limit) // int(period))
    except (OSError, ValueError):  # another control group version, or "max"
        return _NO_LIMIT
