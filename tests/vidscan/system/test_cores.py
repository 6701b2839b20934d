"""The cores that this process may use."""

from __future__ import annotations

import os
import sys

import pytest

from vidscan.system.cores import LIMIT, cores


def test_cores_are_no_more_than_those_at_hand():
    assert 1 <= cores() <= (os.cpu_count() or 1)
    if sys.platform == "linux":
        assert 1 <= cores() <= len(os.sched_getaffinity(0))


def test_a_process_can_be_allowed_fewer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(LIMIT, "1")
    assert cores() == 1
    monkeypatch.setenv(LIMIT, "100000")
    assert cores() <= (os.cpu_count() or 1)
