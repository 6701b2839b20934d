from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from vidscan import ffmpeg
from vidscan.doctor import print_diagnosis


def diagnosis(checkpoint: Path | None = None) -> tuple[bool, list[str]]:
    console = Console(file=io.StringIO(), width=60)
    sound = print_diagnosis(console, checkpoint)
    return sound, console.file.getvalue().splitlines()


def test_a_sound_installation_takes_one_line_a_check(
    tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sound, lines = diagnosis(tiny_checkpoint)
    assert sound
    assert [line.split(" ok ")[0].strip() for line in lines] == [
        "python",
        "ffmpeg",
        "face detector",
        "tensorflow",
        "checkpoint",
    ]
    assert capfd.readouterr().err == ""


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSCAN_FFMPEG", "no-such-program")
    ffmpeg.find_program.cache_clear()
    try:
        sound, lines = diagnosis(tmp_path / "none.keras")
    finally:
        ffmpeg.find_program.cache_clear()
    assert not sound
    failed = [line for line in lines if "FAILED" in line]
    assert len(failed) == 2
    assert "no-such-program" in failed[0] and "none.keras" in failed[1]
