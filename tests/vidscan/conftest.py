"""For all tests of the program."""

from __future__ import annotations

import pytest
from toys import every_face_is_fine

from vidscan.scan import watcher


@pytest.fixture(autouse=True)
def _toy_faces_are_fine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Toy faces are small, flat squares, on which no verdict would rest; ``test_watcher`` has real ones."""
    if request.module.__name__.rpartition(".")[2] != "test_watcher":
        monkeypatch.setattr(watcher, "assess", every_face_is_fine)
