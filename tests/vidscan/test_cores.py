"""The cores that this process may use."""

from __future__ import annotations

import os
import sys

from vidscan.cores import cores


def test_cores_are_no_more_than_those_at_hand():
    assert 1 <= cores() <= (os.cpu_count() or 1)
    if sys.platform == "linux":
        assert 1 <= cores() <= len(os.sched_getaffinity(0))
