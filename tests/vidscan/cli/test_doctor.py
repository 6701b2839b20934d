from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vidscan.cli import doctor
from vidscan.cli.doctor import print_diagnosis
from vidscan.errors import VidscanError
from vidscan.media.ffmpeg import decode
from vidscan.models.runtimes.keras import KerasRuntime

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh_ffmpeg() -> Iterator[None]:
    """Which ffmpeg is used is found out anew, here and afterwards."""
    decode.find_program.cache_clear()
    yield
    decode.find_program.cache_clear()


def diagnosis(checkpoint: Path | None = None, encoding: str = "utf-8") -> tuple[bool, list[str]]:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding, "backslashreplace", write_through=True), width=60)
    sound = print_diagnosis(console, checkpoint)
    return sound, raw.getvalue().decode(encoding).splitlines()


NAMES = [
    "python",
    "packages",
    "ffmpeg",
    "video output",
    "face detector",
    "devices",
    "checkpoint",
    "runtime",
    "cache",
]


def test_a_sound_installation_gets_a_tick_a_check(
    tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sound, lines = diagnosis(tiny_checkpoint)
    assert sound
    ticked = [line for line in lines if "✓" in line]
    assert [line[:16].strip() for line in ticked] == NAMES
    text = "\n".join(lines)
    assert str(tiny_checkpoint) in text and "32 px, uncalibrated" in text and "FAKE from 0.60" in text
    assert decode.find_program() in text and "tensorflow 2.19" in text and "H.264" in text
    assert "auto takes onnx" in text and "no GPU" in text
    assert os.environ["VIDSCAN_CACHE"] in text and "yours alone" in text
    assert lines[-1] == "All that a scan needs is here."
    assert capfd.readouterr().err == ""


def test_a_terminal_without_unicode_gets_words(tiny_checkpoint: Path) -> None:
    sound, lines = diagnosis(tiny_checkpoint, "ascii")
    assert sound and sum(line[16:].startswith("ok ") for line in lines) == len(NAMES)


def test_answers_keep_to_their_column_on_a_terminal() -> None:
    answer = "onnxruntime 1.32, numpy 2.1\n  " + "/a/long/path-with-hyphens" * 4 + " " + "words " * 30
    lines = doctor._wrapped(answer, 80).splitlines()
    assert all(line.startswith(" " * 18) for line in lines[1:]) and len(lines) > 4
    assert " ".join(" ".join(lines).split()) == " ".join(answer.split())
    assert all(len(line) <= 80 or "/a/long" in line for line in lines)


def test_lines_after_the_first_fill_their_column_too() -> None:
    line = "vidscan-vit: onnx, which the file was made for"
    assert doctor._wrapped(doctor._INDENT.join((line, line)), 80).splitlines() == [line, " " * 18 + line]


def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_ffmpeg: None
) -> None:
    monkeypatch.setenv("VIDSCAN_FFMPEG", "no-such-program")
    sound, lines = diagnosis(tmp_path / "none.keras")
    assert not sound
    failed = [line for line in lines if "✗" in line]
    assert [line[:16].strip() for line in failed] == ["ffmpeg", "video output", "checkpoint", "runtime"]
    assert "no-such-program" in failed[0] and "unset it" in failed[0] and "none.keras" in failed[-1]
    assert lines[-1] == "4 checks failed: what to do stands beside each."


def test_where_ffmpeg_comes_from_is_said(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, fresh_ffmpeg: None
) -> None:
    monkeypatch.setenv("VIDSCAN_FFMPEG", decode.find_program())
    decode.find_program.cache_clear()
    lines = diagnosis(tiny_checkpoint)[1]
    (line,) = (line for line in lines if line.startswith("ffmpeg "))
    assert "named by VIDSCAN_FFMPEG" in line


def test_a_checkpoint_that_ships_is_tried_by_name() -> None:
    sound, lines = diagnosis(Path("vidscan-lite2"))
    assert sound
    text = "\n".join(lines)
    assert (
        "vidscan-lite2" in text and "260 px, calibrated" in text and "terms: Non-commercial research" in text
    )


def test_cache_that_is_not_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSCAN_CACHE", str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(VidscanError, match=f"{tmp_path}: can be written to by others, and is not used"):
        doctor._cache()
    tmp_path.chmod(0o700)
    assert doctor._cache() == f"{tmp_path}: 0 MiB, yours alone"


@pytest.mark.parametrize(("on_gpu", "told"), [(0.5, "agrees with the CPU"), (0.7, "0.2 from the CPU's")])
def test_comparison_on_metal_is_told(
    on_gpu: float, told: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidscan.models.runtimes.choice.gpu", lambda: "metal")
    for name, value in (("outputs", on_gpu), ("outputs_on_cpu", 0.5)):
        outputs = np.full((4, 1), value, np.float32)
        monkeypatch.setattr(KerasRuntime, name, lambda self, crops, outputs=outputs: outputs)
    assert told in doctor._runtime(tiny_checkpoint)
