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
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
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


_importing = threading.RLock()
"""Held while a framework is imported, so that no thread finds TensorFlow hidden that did not hide it."""


def import_keras() -> Any:
    """Imports Keras under the backend that the user chose with ``KERAS_BACKEND``."""
    return _import_quietly("keras")


def import_tensorflow() -> Any:
    """Imports TensorFlow."""
    return _import_quietly("tensorflow")


def import_mediapipe() -> Any:
    """Imports MediaPipe's tasks, and neither TensorFlow nor matplotlib along with them.

    MediaPipe imports TensorFlow where it is installed, for a mark in its own documentation, and does without
    where it is not: 5 s and 700 MB. So TensorFlow is hidden meanwhile: None in ``sys.modules`` makes an
    import fail as if the module were missing. Its drawing functions, which nothing here calls, want
    matplotlib, another 0.3 s: they get a stand-in that imports it when they are used. Other modules that
    import either one later find it as ever.
    """
    hidden: dict[str, ModuleType | None] = {"tensorflow": None}
    if "matplotlib" not in sys.modules:
        package, plotting = _Deferred("matplotlib"), _Deferred("matplotlib.pyplot")
        package.pyplot = plotting
        hidden |= {"matplotlib": package, "matplotlib.pyplot": plotting}
    with _importing, _replaced(hidden):
        return _import_quietly("mediapipe.tasks.python")


class _Deferred(ModuleType):
    """Stands in for a module that is imported when something in it is first used."""

    pyplot: ModuleType

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the machinery of imports
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _replaced(modules: dict[str, ModuleType | None]) -> Iterator[None]:
    """Puts ``modules`` where imports find them, unless they were imported already; takes them out again."""
    put = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(put)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


def _import_quietly(name: str) -> Any:
    with _importing:
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
