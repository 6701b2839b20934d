"""Converts a checkpoint to ONNX: once, in a process of its own, and compared with Keras.

The conversion needs TensorFlow, gigabytes of memory and some seconds. In a process of its own it leaves
nothing of that behind in the scan, and works whatever backend Keras has there. ``converter.py`` runs in that
process.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from vidscan.errors import ModelError
from vidscan.models.guards.archive import inspect_archive
from vidscan.models.runtimes import cache
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.system import user_folder
from vidscan.system.files import sha256_of
from vidscan.system.processes import Child, Stalled

CONVERTER = "onnx-1"
"""Part of every entry's name: raise it when the conversion changes."""

_TIMEOUT_S = 1800

_log = logging.getLogger("vidscan")


def convert_once(checkpoint: Path) -> bytes:
    """Returns the ONNX form of a ``.keras`` file from the user's cache, or inspects, converts and caches it.

    What is in the cache was inspected when it was put there, by this hash.

    Raises:
        RuntimeUnavailableError: it cannot be converted, or the result disagrees with Keras.
        ModelError: the checkpoint itself is refused.
    """
    sha256 = sha256_of(checkpoint)
    key = f"{sha256}-{CONVERTER}"
    try:
        folder = user_folder.trusted_folder()
    except user_folder.UntrustedFolderError as error:
        _log.warning(
            "vidscan: the cache folder %s %s: not used, and the network is converted anew each time; "
            "make it yours alone (chmod go-w), or name another with VIDSCAN_CACHE",
            user_folder.cache_folder(),
            error,
        )
        return convert(checkpoint, sha256)[0]
    # Looked up before the lock is taken: a scan with a warm cache never waits.
    if (known := cache.read_entry(folder, key, sha256)) is not None:
        return known
    with cache.lock_entry(folder, key):
        if (known := cache.read_entry(folder, key, sha256)) is not None:
            return known
        network, manifest = convert(checkpoint, sha256)
        try:
            cache.write_entry(folder, key, network, manifest)
        except OSError as error:
            _log.warning("vidscan: %s: the converted network was not kept: %s", folder, error.strerror)
        return network


def convert(checkpoint: Path, sha256: str) -> tuple[bytes, cache.Manifest]:
    """Converts in a process of its own, in a temporary folder; returns the ONNX network and its manifest.

    Raises:
        RuntimeUnavailableError: the conversion fails, or its result disagrees with Keras.
        ModelError: the checkpoint itself is refused.
    """
    inspect_archive(checkpoint)  # here too, so that what is refused costs no process
    _log.info("vidscan: converting %s for onnxruntime; this happens once", checkpoint)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        target = Path(folder) / cache.NETWORK
        answer = _run_converter(checkpoint, target)
        if "refused" in answer:
            raise ModelError(str(answer["refused"]))
        if "failed" in answer:
            why = answer["failed"]
            raise RuntimeUnavailableError(f"{checkpoint}: cannot be converted for onnxruntime: {why}")
        network = target.read_bytes()
    manifest = cache.Manifest(**answer["manifest"])
    if (manifest.checkpoint_sha256, manifest.sha256) != (sha256, sha256_of(network)):
        raise RuntimeUnavailableError(f"{checkpoint}: was changed while it was converted; try again")
    return network, manifest


def _run_converter(checkpoint: Path, target: Path) -> dict[str, Any]:
    """Returns the converter's answer: the ``manifest``, or the reason as ``refused`` or ``failed``."""
    converter = [sys.executable, "-P", "-m", "vidscan.models.runtimes.converter"]
    command = [*converter, str(checkpoint.absolute()), str(target)]
    # The package that runs here, wherever it lies, is the one to run there.
    found_in = str(Path(__file__).resolve().parents[3])
    paths = [found_in, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(paths)}
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        with Child(command, environment=environment) as child:
            said, complaints = child.communicate(b"", _TIMEOUT_S)
            code = child.exit_code()
        answer: dict[str, Any] = json.loads(said.decode("utf-8", "replace").splitlines()[-1])
    except Stalled:
        return {"failed": f"it took more than {_TIMEOUT_S // 60} minutes"}
    except OSError as error:
        return {"failed": f"{sys.executable} cannot be started: {error.strerror}"}
    except (ValueError, IndexError):
        words = complaints.decode("utf-8", "replace").splitlines()
        last = [line.strip() for line in words if line.strip()][-1:]
        return {"failed": f"{' '.join(last)[:200]} (the converter ended with code {code})"}
    return answer
