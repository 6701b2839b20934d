"""Copies of remote sources: few at a time, gone once read, and no trace of a process that was killed."""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer

from vidscan.errors import SourceError
from vidscan.media import storage
from vidscan.media.scratch import LOCK, PREFIX, Scratch, remove_abandoned
from vidscan.media.sources import from_folder, from_paths
from vidscan.options import BatchingOptions, ScanOptions, StorageOptions
from vidscan.records import Label, Report, Source, SourceKind, Status
from vidscan.scan.pipeline import scan


@pytest.fixture
def room(tmp_path: Path) -> Path:
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


def options(room: Path, gb: float = 1.0) -> ScanOptions:
    return ScanOptions(batching=BatchingOptions(4), storage=StorageOptions(room, gb))


def scanned(sources: list[Source], room: Path, gb: float = 1.0) -> list[Report]:
    with ToyDetector() as detector:
        return list(scan(sources, options(room, gb), scorers=[ToyScorer()], detector=detector))


def still(tmp_path: Path, brightness: int = 200) -> bytes:
    path = tmp_path / f"{brightness}.png"
    Pillow.fromarray(np.full((80, 80, 3), brightness, np.uint8)).save(path)
    return path.read_bytes()


@pytest.mark.slow
def test_remote_sources_are_scanned_as_local_ones_and_leave_nothing(s3, tmp_path, room, bright_clip) -> None:
    s3.put("clips", "a.png", still(tmp_path))
    s3.put("clips", "b.mp4", bright_clip)
    s3.put("clips", "c.mp4", b"no clip")
    reports = scanned(from_folder("s3://clips"), room)
    assert [report.source.name for report in reports] == [
        f"s3://clips/{name}" for name in ("a.png", "b.mp4", "c.mp4")
    ]
    assert [report.source.path for report in reports] == [Path("a.png"), Path("b.mp4"), Path("c.mp4")]
    (alone,) = scanned(from_paths([bright_clip]), room)
    assert reports[1].verdict == alone.verdict and reports[1].facts == alone.facts
    assert reports[2].status is Status.FAILED
    assert reports[2].error.message.startswith("s3://clips/c.mp4: ")
    assert str(room) not in reports[2].error.message
    assert list(room.iterdir()) == []


def test_what_cannot_be_fetched_fails_and_the_others_are_done(s3, tmp_path, room) -> None:
    for name in ("a.png", "b.png", "c.png"):
        s3.put("clips", name, still(tmp_path))
    sources = from_folder("s3://clips")
    s3.client.delete_object(Bucket="clips", Key="b.png")
    first, gone, last = scanned(sources, room)
    assert first.verdict.label is last.verdict.label is not Label.NO_FACE
    assert gone.status is Status.FAILED and gone.error.message.startswith(
        "s3://clips/b.png: cannot be fetched"
    )


def test_no_more_than_two_copies_lie_there(s3, tmp_path, room) -> None:
    content = still(tmp_path)
    for number in range(20):
        s3.put("clips", f"{number:02}.png", content)
    with Scratch(StorageOptions(room)) as scratch:
        for source in scratch.ahead(from_folder("s3://clips")):
            with scratch.local_copy(source) as copy:
                assert copy.path.read_bytes() == content
                assert len(list(room.rglob("*.png"))) <= 2
            assert not copy.path.exists()
    assert list(room.iterdir()) == []


def test_next_one_is_fetched_while_one_is_read(s3, tmp_path, room) -> None:
    for name in ("a.png", "b.png"):
        s3.put("clips", name, still(tmp_path))
    with Scratch(StorageOptions(room)) as scratch:
        ahead = scratch.ahead(from_folder("s3://clips"))
        with scratch.local_copy(next(ahead)):
            scratch._fetched["1"].result(timeout=10)
            assert len(list(room.rglob("*.png"))) == 2
        assert next(ahead).id == "1"


def test_a_clip_larger_than_its_share_is_refused(s3, tmp_path, room) -> None:
    content = still(tmp_path)
    s3.put("clips", "a.png", content)
    (report,) = scanned(from_folder("s3://clips"), room, gb=len(content) * 1.5 / 1e9)
    assert report.status is Status.FAILED and "raise --scratch-gb" in report.error.message
    (report,) = scanned(from_folder("s3://clips"), room, gb=len(content) * 2 / 1e9)
    assert report.status is Status.OK


def test_local_sources_need_no_scratch_space(bright_clip: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    (report,) = scanned(from_paths([bright_clip]), nowhere)
    assert report.status is Status.OK and not nowhere.exists()
    source = from_paths([bright_clip])[0]
    with Scratch(StorageOptions(nowhere)) as scratch, scratch.local_copy(source) as same:
        assert same is source


def test_missing_scratch_folder_is_named(s3, tmp_path) -> None:
    s3.put("clips", "a.png", still(tmp_path))
    (report,) = scanned(from_folder("s3://clips"), tmp_path / "nowhere")
    assert report.status is Status.FAILED and "name another place with --scratch" in report.error.message


def test_sources_are_drawn_one_ahead_only_where_they_are_remote() -> None:
    drawn: list[str] = []

    def told(sources: list[Source]):
        for source in sources:
            drawn.append(source.id)
            yield source

    local = [Source(str(number), Path(f"{number}.mp4"), SourceKind.VIDEO) for number in range(3)]
    with Scratch(StorageOptions()) as scratch:
        ahead = scratch.ahead(told(local))
        next(ahead)
        assert drawn == ["0"], "else a worker that dies is blamed on a file that it had not begun"


def test_a_killed_process_leaves_nothing_for_long(s3, tmp_path, room) -> None:
    s3.put("clips", "a.png", still(tmp_path))
    code = f"""
import os, signal
from pathlib import Path
from vidscan.options import StorageOptions
from vidscan.media.scratch import Scratch
from vidscan.media.sources import from_folder
with Scratch(StorageOptions(Path({str(room)!r}))) as scratch:
    with scratch.local_copy(from_folder("s3://clips")[0]) as copy:
        print(copy.path, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = Path(killed.stdout.strip())
    assert left.exists() and left.parent.name.startswith(PREFIX)
    with Scratch(StorageOptions(room)) as scratch, scratch.local_copy(from_folder("s3://clips")[0]) as copy:
        assert not left.exists()
        remove_abandoned(room)
        assert copy.path.exists(), "a folder in use stays"
    assert list(room.iterdir()) == []


def test_a_folder_without_a_lock_or_of_another_name_stays(room: Path) -> None:
    (room / f"{PREFIX}fresh").mkdir()
    (room / "mine").mkdir()
    (room / "mine" / LOCK).touch()
    remove_abandoned(room)
    assert sorted(path.name for path in room.iterdir()) == ["mine", f"{PREFIX}fresh"]


def test_every_part_that_comes_is_told(s3, tmp_path, room) -> None:
    """Else a clip that takes its time would count as a worker that hangs."""
    s3.put("clips", "a.png", still(tmp_path))
    told: list[str] = []
    with Scratch(StorageOptions(room), lambda source: told.append(source.name)) as scratch:
        (source,) = scratch.ahead(from_folder("s3://clips"))
        with scratch.local_copy(source):
            pass
    assert set(told) == {"s3://clips/a.png"}


def test_progress_names_sources_as_the_user_did(s3, room, bright_clip) -> None:
    s3.put("clips", "b.mp4", bright_clip)
    seen: set[Source] = set()

    class Seeing:
        def part_fetched(self, source: Source) -> None:
            seen.add(source)

        def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
            seen.add(source)

    sources = from_folder("s3://clips")
    with ToyDetector() as detector:
        list(scan(sources, options(room), scorers=[ToyScorer()], detector=detector, observer=Seeing()))
    assert seen == set(sources)


def test_what_is_still_coming_at_the_end_is_let_go(tmp_path, room) -> None:
    """Of a server that would take ten seconds and more."""
    sent = threading.Event()
    pieces: list[int] = []

    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(10**9))
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(0.01):
                    pieces.append(self.wfile.write(b"0" * (1 << 20)))
                    sent.set()

    ended = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/a.mp4"
    source = Source("0", Path("a.mp4"), SourceKind.VIDEO, remote=storage.remote(url))
    try:
        with Scratch(StorageOptions(room)) as scratch:
            next(scratch.ahead([source]))
            assert sent.wait(60)
        assert sum(pieces) < 10**9
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
    assert not any(room.iterdir())


def test_a_failed_fetch_is_told_when_its_turn_comes(s3, tmp_path, room) -> None:
    s3.put("clips", "a.png", still(tmp_path))
    source = from_folder("s3://clips")[0]
    s3.client.delete_object(Bucket="clips", Key="a.png")
    with Scratch(StorageOptions(room)) as scratch:
        (passed,) = scratch.ahead([source])
        with pytest.raises(SourceError, match="no such file"), scratch.local_copy(passed):
            pytest.fail("there is no copy")
    assert not any(room.iterdir())
