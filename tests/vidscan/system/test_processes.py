"""Nothing of a child is left, whichever way its parent goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_program import fake_ffmpeg
from leftovers import gone, running, soon

from vidscan.errors import VidscanError
from vidscan.media.ffmpeg import decode, program
from vidscan.system import processes
from vidscan.system.processes import Child, Stalled
from vidscan_training.crops import encode

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")


@pytest.fixture
def wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A wrapper script that waits for a hanging program instead of becoming it; gives that one's mark."""
    mark = f"{os.getpid() % 1000 + 1000}.{time.time_ns() % 10**7}"  # seconds, which tell it from other sleeps
    hang = f"trap '' PIPE TERM INT; sleep {mark}; true"
    decode.find_program.cache_clear()
    decode.passthrough_option.cache_clear()
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(fake_ffmpeg(tmp_path, hang, header=hang)))
    yield mark
    decode.find_program.cache_clear()
    decode.passthrough_option.cache_clear()


@pytest.mark.slow
def test_wrapper_script_leaves_nothing_behind(wrapper: str, monkeypatch: pytest.MonkeyPatch, clip: Path):
    monkeypatch.setattr(decode, "STALL_TIMEOUT_S", 1.0)
    monkeypatch.setattr(encode, "RECOMPRESS_TIMEOUT_S", 1.0)
    started = time.monotonic()
    for read in (
        decode.probe,
        lambda path: list(decode.stream_frames(path, 2.0)),
        lambda path: encode.recompress(path, path.with_suffix(".mkv"), crf=30),
    ):
        with pytest.raises(VidscanError):
            read(clip)
        assert gone(wrapper, 5.0)
    assert time.monotonic() - started < 60


def test_program_that_does_not_tell_its_version_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mark = f"1234.{time.time_ns() % 10**7}"
    path = tmp_path / "silent"
    path.write_text(f"#!/bin/sh\nsleep {mark}; true\n")
    path.chmod(0o755)
    monkeypatch.setattr(program, "ANSWER_TIMEOUT_S", 0.5)
    with pytest.raises(VidscanError, match="silent does not answer: set VIDSCAN_FFMPEG"):
        decode.passthrough_option.__wrapped__(str(path))
    assert gone(mark, 5.0)


STREAMER = """
import sys, time
from pathlib import Path
from vidscan.media.ffmpeg import decode
print("ready", flush=True)
for _ in decode.stream_frames(Path(sys.argv[1]), 1000.0):
    print("frame", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_wrapper_is_ended_with_the_parent_whatever_ends_that(wrapper: str, clip: Path, way: signal.Signals):
    """The wrapped program hears of nothing: not of the signal, nor of a broken pipe."""
    with subprocess.Popen(
        [sys.executable, "-c", STREAMER, clip], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        seen = soon(lambda: bool(running(f"sleep {wrapper}")), 60)
        parent.send_signal(way)
        assert seen
        parent.wait(timeout=30)
        assert gone(wrapper)


def test_ffmpeg_is_ended_with_a_parent_that_was_killed(make_clip, tmp_path: Path):
    long = make_clip(
        "killed-parent.mp4", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=20", "-c:v", "mpeg4"
    )
    with subprocess.Popen([sys.executable, "-c", STREAMER, long], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        begun = parent.stdout.readline() + parent.stdout.readline()
        seen = running(f"file:{long}")
        parent.kill()
        assert begun == b"ready\nframe\n" and seen
        parent.wait(timeout=30)
        assert gone(f"file:{long}")


def test_guardian_that_was_killed_is_replaced(tmp_path: Path):
    with Child(["sleep", "1234"]):
        first = processes._GUARD._process
        assert first is not None and first.poll() is None
        first.kill()
        first.wait()
        with Child(["sleep", "1235"]):
            second = processes._GUARD._process
            assert second is not None and second is not first and second.poll() is None


def test_guardian_ends_what_is_registered_and_nothing_else():
    with Child(["sleep", "1236"]) as kept, Child(["sleep", "1237"]) as ended:
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", processes.GUARDIAN], stdin=subprocess.PIPE
        )
        guardian.communicate(f"+{kept.pid}\n+{ended.pid}\n-{kept.pid}\n".encode(), timeout=30)
        assert ended.exit_code() == -signal.SIGKILL
        assert kept.exit_code(0.2) is None


def test_child_has_a_session_of_its_own():
    """Ctrl-C at a terminal goes to the session's foreground group, which is vidscan's alone."""
    with Child(["sleep", "1238"]) as child:
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid != os.getsid(0)


def test_memory_beyond_the_limit_is_refused():
    if sys.platform != "linux":
        pytest.skip("other systems cannot be told to")
    hungry = "import sys; sys.stdin.read(1); bytearray(1 << 30)"
    with Child([sys.executable, "-c", hungry], fed=True, memory=256 << 20) as child:
        _, words = child.communicate(b"x", 60.0)
        assert b"MemoryError" in words
        assert child.exit_code() == 1


def test_reading_and_feeding_have_their_time():
    with Child(["sleep", "1239"], fed=True) as child:
        with pytest.raises(Stalled):
            child.read(1, time.monotonic() + 0.1)
        with pytest.raises(Stalled):
            child.write(bytes(1 << 20), time.monotonic() + 0.1)
        with pytest.raises(Stalled):
            child.communicate(b"", 0.1)
    with Child(["cat"], fed=True) as child:
        child.write(b"some words", time.monotonic() + 10)
        assert child.read(10, time.monotonic() + 10) == b"some words"
        child.stdin.close()
        assert child.read(10, time.monotonic() + 10) == b""
        assert child.exit_code() == 0


def test_program_that_cannot_be_run_leaves_no_open_file(tmp_path: Path):
    path = tmp_path / "no-program"
    path.write_text("not a program")
    path.chmod(0o755)
    open_before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(3):
        with contextlib.suppress(OSError), Child([str(path)]):
            pass
    assert len(os.listdir("/dev/fd")) == open_before  # noqa: PTH208
