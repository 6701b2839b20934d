"""For all tests of the program."""

from __future__ import annotations

from functools import partial

import pytest
from toys import ToyDetector

from vidscan.engines import local


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> ToyDetector:
    """A toy that finds the faces in every scan of this process."""
    toy = ToyDetector()
    monkeypatch.setattr(local, "scan_sources", partial(local.scan_sources, open_detector=lambda options: toy))
    return toy
