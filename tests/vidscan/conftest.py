"""For all tests of the program."""

from __future__ import annotations

import pytest
from toys import ToyDetector

from vidscan.engines import local


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> ToyDetector:
    """A toy that finds the faces in every scan that the API runs in this process."""
    toy = ToyDetector()
    monkeypatch.setattr(local, "open_mediapipe", lambda options: toy)
    return toy
