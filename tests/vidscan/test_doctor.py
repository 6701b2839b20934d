from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vidscan import doctor, ffmpeg
from vidscan.doctor import print_diagnosis
from vidscan.errors import VidscanError
from vidscan.runtimes.devices import Devices
from vidscan.runtimes.keras_runtime import KerasRuntime


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
        "runtime",
        "cache",
    ]
    assert "onnx" in lines[5] and "no GPU" in lines[5]
    assert os.environ["VIDSCAN_CACHE"] in lines[6] and "MiB" in lines[6]
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
    assert len(failed) == 3
    assert "no-such-program" in failed[0] and "none.keras" in failed[1] and "none.keras" in failed[2]


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
    monkeypatch.setattr("vidscan.runtimes.devices.devices", lambda: Devices("metal", coreml=True))
    for name, value in (("outputs", on_gpu), ("outputs_on_cpu", 0.5)):
        outputs = np.full((4, 1), value, np.float32)
        monkeypatch.setattr(KerasRuntime, name, lambda self, crops, outputs=outputs: outputs)
    assert told in doctor._runtime(tiny_checkpoint)
