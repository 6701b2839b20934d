"""Imports the heavy frameworks without the messages that they print when they start.

TensorFlow and MediaPipe log to standard error before any setting of theirs can stop them. A user who sees
"unable to register cuDNN factory" above a verdict takes it for a fault, so those lines, and no others, are
dropped.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from vidscan.errors import ReportError

_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|[IWE]\d{4} [\d:.]+ +\d+ "
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    rb"|To enable the following instructions: "
)
"""What wheels built for CUDA print on every start on a machine without a GPU, and TensorFlow Lite on any."""


_MESSAGES_WANTED = "TF_CPP_MIN_LOG_LEVEL" in os.environ
"""A user who sets this variable gets TensorFlow's messages."""


def import_keras() -> Any:
    """Imports Keras under the backend that the user chose with ``KERAS_BACKEND``."""
    return _import_quietly("keras")


def import_tensorflow() -> Any:
    """Imports TensorFlow."""
    return _import_quietly("tensorflow")


def import_mediapipe() -> Any:
    """Imports MediaPipe's tasks, and not along with them what no scan uses.

    MediaPipe imports TensorFlow where it is installed (5 s, 700 MB), for a mark in its own documentation, and
    matplotlib and sounddevice (0.3 s) for its drawing and recording. The module with the mark is stood in for
    meanwhile; the other two get stand-ins that import them when they are used. Whatever else imports any of
    these later finds them as ever.
    """
    marks, package, plotting = ModuleType("marks"), _Deferred("matplotlib"), _Deferred("matplotlib.pyplot")
    marks.__dict__["doc_controls"] = SimpleNamespace(do_not_generate_docs=lambda documented: documented)
    package.__dict__["pyplot"] = plotting
    stand_ins = {"tensorflow.tools.docs": marks, "sounddevice": _Deferred("sounddevice")}
    if "matplotlib" not in sys.modules:
        stand_ins |= {"matplotlib": package, "matplotlib.pyplot": plotting}
    with _replaced(stand_ins):
        return _import_quietly("mediapipe.tasks.python")


class _Deferred(ModuleType):
    """Stands in for a module that is imported when something in it is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the machinery of imports
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _replaced(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Puts ``modules`` where imports find them, unless they were imported already; takes them out again."""
    put = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(put)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


def _import_quietly(name: str) -> Any:
    if name not in sys.modules and not _MESSAGES_WANTED:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        with drop_noise():
            return importlib.import_module(name)
    return importlib.import_module(name)


@contextmanager
def drop_noise() -> Iterator[None]:
    """Holds back what is written to file descriptor 2, and passes on all but the known messages.

    Only on systems that print them (wheels for x86 Linux), and only if a native library cannot abort the
    process for want of AVX, which would take the reason with it.
    """
    cpu = Path("/proc/cpuinfo")
    if sys.platform != "linux" or not cpu.exists() or " avx " not in cpu.read_text(errors="replace"):
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error at all, as under some services
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            kept = b"".join(line for line in held if not _NOISE.match(line))
            if kept:
                os.write(2, kept)


def import_pyarrow() -> Any:
    """Imports pyarrow; raises ReportError if it is not installed."""
    try:
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError as error:
        raise ReportError("a Parquet report needs pyarrow: pip install 'vidscan[parquet]'") from error
    return pyarrow
