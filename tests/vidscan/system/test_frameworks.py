from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidscan.system import frameworks
from vidscan.system.frameworks import drop_noise


@pytest.mark.skipif(sys.platform != "linux", reason="only wheels for Linux print at start-up")
def test_start_up_noise_is_dropped_and_all_else_kept(capfd):
    with drop_noise():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\n")
        os.write(2, b"E0000 00:00:1795375065.352480   11127 cuda_dnn.cc:8579] Unable to register\n")
        os.write(2, b"a warning that matters\n")
    kept = capfd.readouterr().err
    assert "a warning that matters" in kept
    if " avx " in Path("/proc/cpuinfo").read_text():
        assert kept == "a warning that matters\n"
    os.write(2, b"E0000 00:00:1795375065.352480   11127 after\n")
    assert "after" in capfd.readouterr().err


@pytest.mark.slow
def test_keras_is_imported_in_silence():
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", "from vidscan.system.frameworks import import_keras; import_keras()"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=Path(frameworks.__file__).parents[2],
        check=True,
    )
    assert result.stderr == ""


@pytest.mark.slow
def test_mediapipe_brings_no_tensorflow_in_and_hides_none_that_is_wanted_later():
    looks = (
        "import sys;"
        "from vidscan.system.frameworks import import_mediapipe, import_tensorflow;"
        "import_mediapipe();"
        "brought = {name.split('.')[0] for name in sys.modules};"
        "assert not brought & {'tensorflow', 'keras', 'matplotlib', 'sounddevice'};"
        "from mediapipe.tasks.python.vision import drawing_utils;"
        "assert drawing_utils.plt.__name__ == 'matplotlib.pyplot' and drawing_utils.plt.figure;"
        "import matplotlib.pyplot as real;"
        "assert real.figure is drawing_utils.plt.figure and real is not drawing_utils.plt;"
        "assert import_tensorflow().version.VERSION;"
        "import_mediapipe();"
        "assert import_tensorflow().version.VERSION"
    )
    root = Path(frameworks.__file__).parents[2]
    subprocess.run([sys.executable, "-c", looks], timeout=120, cwd=root, check=True)
