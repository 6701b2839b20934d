"""Child processes: run without a shell, held to limits, and ended with all that they started.

A child leads a session and a process group of its own, so that whatever it starts (a wrapper script's
ffmpeg, say) can be ended with it, and Ctrl-C at the terminal reaches vidscan alone, which then ends its
children in order. For the one way out on which vidscan can do nothing, SIGKILL, a guardian stands by: a
tiny process that waits at the end of a pipe and ends the groups still registered when the pipe breaks.
No code of ours runs between fork and exec, which would not be safe beside TensorFlow's threads.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Self

EXIT_WAIT_S = 10.0
"""How long a child that has closed its output may take to exit before it is ended."""

GUARDIAN = """
import os, signal, sys
groups = set()
for line in sys.stdin.buffer:
    group = int(line[1:])
    groups.add(group) if line[:1] == b"+" else groups.discard(group)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
"""What the guardian runs: ``+ID`` and ``-ID`` register and release a process group, one a line."""


class Stalled(Exception):  # noqa: N818 - what happened, for the caller to put into words
    """A child was silent, or did not read what it was fed, until its deadline."""


class _Guardian:
    """Ends the registered process groups as soon as this process is gone, however it went."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may end all children while this thread adds one.
        self._lock = threading.RLock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def add(self, group: int) -> None:
        with self._lock:
            if self._owner not in (0, os.getpid()):  # after a fork: the others are not this process's to end
                self._groups.clear()
                self._process = None
            self._groups.add(group)
            self._say(f"+{group}\n")

    def remove(self, group: int) -> None:
        with self._lock:
            self._groups.discard(group)
            self._say(f"-{group}\n")

    def end_all(self) -> None:
        with self._lock:
            for group in tuple(self._groups) if self._owner == os.getpid() else ():
                _kill_group(group)

    def _say(self, line: str) -> None:
        """Tells the guardian; starts one where there is none, or where it was killed."""
        if self._process is None:
            self._start()
            return
        try:
            _write_line(self._process, line)
        except OSError:
            self._process.wait()
            self._start()

    def _start(self) -> None:
        # -I -S: nothing of the user's environment or folder is read.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARDIAN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self._owner = os.getpid()
        for group in self._groups:
            _write_line(self._process, f"+{group}\n")

    def close(self) -> None:
        """Dismisses the guardian as this process exits; groups still registered are ended."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                assert self._process.stdin is not None
                self._process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=1.0)
                self._process = None


def _write_line(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode())


def _kill_group(group: int) -> None:
    # No such group: all of it has ended. No permission is what macOS says of a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


_GUARD = _Guardian()
atexit.register(_GUARD.close)

end_all = _GUARD.end_all
"""Ends every child of this process at once, so that no thread goes on waiting for one."""


class Child:
    """A program that runs in a session of its own. Use as a context manager: leaving ends its group.

    ``pid`` is its process id, which is also that of its group.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        fed: bool = False,
        heard: bool = True,
        memory: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts ``command``, which no shell sees; raises OSError where it cannot be run.

        ``fed`` and ``heard`` give it a pipe as standard input and standard error, ``stdin`` and ``stderr``;
        else it reads nothing, and what it says is dropped. ``memory`` limits the bytes of private memory
        that it may take, where the system can hold it to them.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if heard else subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env=environment,
        )
        self.pid = self._process.pid
        try:
            _GUARD.add(self.pid)
            if memory is not None:
                _limit_memory(self.pid, memory)
        except BaseException:
            self.close()
            raise
        assert self._process.stdout is not None
        self.stdin: IO[bytes] | None = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] | None = self._process.stderr

    def read(self, count: int, deadline: float, stream: IO[bytes] | None = None) -> bytearray:
        """Reads ``count`` bytes from ``stream`` (``stdout`` by default), fewer where it ends; or Stalled."""
        stream = self.stdout if stream is None else stream
        waiting = select.poll()
        waiting.register(stream, select.POLLIN)
        buffer, filled = bytearray(count), 0
        with memoryview(buffer) as view:
            while filled < count:
                _wait(waiting, deadline)
                got: int = stream.readinto(view[filled:])  # type: ignore[attr-defined]
                if not got:
                    break
                filled += got
        del buffer[filled:]
        return buffer

    def write(self, data: bytes | bytearray, deadline: float) -> None:
        """Feeds the child.

        Raises Stalled where the deadline passes first, and BrokenPipeError where it reads no more.
        """
        assert self.stdin is not None, "a child that is not fed"
        os.set_blocking(self.stdin.fileno(), False)
        waiting = select.poll()
        waiting.register(self.stdin, select.POLLOUT)
        view = memoryview(data)
        while view:
            _wait(waiting, deadline)
            view = view[os.write(self.stdin.fileno(), view) :]

    def end_input(self) -> None:
        """Closes the child's standard input: it has all of it now."""
        assert self.stdin is not None, "a child that is not fed"
        self.stdin.close()

    def communicate(self, data: bytes, limit_s: float) -> tuple[bytes, bytes]:
        """Feeds ``data``, returns standard output and error at the child's end; Stalled after ``limit_s``."""
        try:
            output, words = self._process.communicate(data if self.stdin else None, timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise Stalled from error
        return output, words or b""

    def exit_code(self, limit_s: float = EXIT_WAIT_S) -> int | None:
        """Waits for the child's exit code, negative for a signal; None if it does not exit in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=limit_s)
        return None

    def kill(self) -> None:
        """Ends the child and its whole group at once."""
        _kill_group(self.pid)

    def close(self) -> None:
        """Ends the group and frees what it held; may be called twice."""
        # Also where the child itself has exited and was waited for: what it started may live on. Its
        # number cannot be another's so soon.
        self.kill()
        self._process.wait()
        _GUARD.remove(self.pid)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was still to be written is of no use now
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.stderr is not None:
            self.stderr.close()


def _wait(waiting: select.poll, deadline: float) -> None:
    """Waits until a stream is ready; raises Stalled at ``deadline``, on the clock of ``time.monotonic``."""
    left = deadline - time.monotonic()
    if left <= 0 or not waiting.poll(left * 1000):
        raise Stalled


def _limit_memory(pid: int, limit: int) -> None:
    """Holds a process, and what it will start, to ``limit`` bytes of private memory; on Linux alone.

    Data rather than address space: a driver may reserve far more addresses than it ever uses.
    """
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(ProcessLookupError):  # it has ended already
            hard = resource.prlimit(pid, resource.RLIMIT_DATA)[1]
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))


def memory_limit() -> int:
    """Limit on the bytes that one decoder may take: half of the machine's memory, within 2 to 16 GiB."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(physical // 2, 2 << 30), 16 << 30)
