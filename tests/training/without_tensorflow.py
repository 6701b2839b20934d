"""Runs code in a process of its own in which TensorFlow and MediaPipe look as if they were not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HIDDEN = ("tensorflow", "mediapipe", "ffmpeg", "imageio_ffmpeg")

# A module set to None in sys.modules would still be found there by those who ask whether it was imported.
HIDE = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {HIDDEN!r} else find(name, path, target)
PathFinder.find_spec = find_spec
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
"""

CHECK = f"""
assert not [name for name in {HIDDEN!r} if name in sys.modules]
"""


def run_without_tensorflow(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code``, in which ``sys`` is imported, and then checks that nothing hidden came in."""
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", HIDE + code + CHECK],
        env={**inherited, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
