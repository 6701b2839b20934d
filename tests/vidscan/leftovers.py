"""What is still running of what a test started.

A signal to a process group is answered before its members are gone, so tests wait for the end.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def running(mark: str) -> list[str]:
    """The command lines in which ``mark`` stands; zombies have none."""
    listing = subprocess.run(["ps", "-wweo", "stat,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if mark in line and line[0] != "Z"]


def gone(mark: str, limit_s: float = 20.0) -> bool:
    """Whether nothing with ``mark`` in its command line is left, now or soon."""
    return soon(lambda: not running(mark), limit_s)


def soon(true: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether something becomes true within a time, in seconds."""
    deadline = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
