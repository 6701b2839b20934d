"""Which files of a folder have arrived: steady ones, again where they changed, and none that grows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidscan.engines.arrivals import STEADY_S, Arrivals
from vidscan.errors import SourceError
from vidscan.media.sources import from_folder


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Folder:
    """A folder, its arrivals, and a clock that is told how much time goes by."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, Clock()
        self.arrivals = self.watched()

    def watched(self, **more) -> Arrivals:
        return Arrivals(lambda: from_folder(self.path, may_be_empty=True), clock=self.clock, **more)

    def write(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)

    def after(self, seconds: float = 0.0, busy: tuple[str, ...] = ()) -> list[str]:
        self.clock.now += seconds
        return [each.path.name for each in self.arrivals.poll(tuple(str(self.path / name) for name in busy))]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_steady_file_arrives_once(folder: Folder) -> None:
    folder.write("a.mp4", b"whole")
    assert folder.after() == []
    assert folder.after(STEADY_S - 0.1) == []
    assert folder.after(0.2) == ["a.mp4"]
    assert folder.after(60) == [] and folder.arrivals.growing == []


def test_a_growing_file_is_waited_for(folder: Folder) -> None:
    for size in range(1, 5):
        folder.write("a.mp4", b"x" * size)
        assert folder.after(STEADY_S - 0.1) == []
    assert folder.arrivals.growing == [str(folder.path / "a.mp4")]
    assert folder.after(STEADY_S) == ["a.mp4"]


def test_a_file_of_one_size_that_is_still_written_to_is_waited_for(folder: Folder) -> None:
    folder.write("a.mp4", b"reserved")
    assert folder.after() == []
    os.utime(folder.path / "a.mp4", (1, 1))  # a program that reserves the room writes into it
    assert folder.after(STEADY_S) == []
    assert folder.after(STEADY_S) == ["a.mp4"]


def test_an_empty_file_has_not_arrived(folder: Folder) -> None:
    folder.write("a.mp4", b"")
    assert folder.after() == folder.after(60) == []
    assert folder.arrivals.growing == [str(folder.path / "a.mp4")]


def test_a_changed_file_arrives_again_under_the_same_id(folder: Folder) -> None:
    folder.write("a.mp4", b"first")
    assert folder.after() == []
    folder.clock.now += STEADY_S
    first = folder.arrivals.poll()
    folder.write("a.mp4", b"second, and longer")
    assert folder.after() == []
    folder.clock.now += STEADY_S
    assert folder.arrivals.poll() == first


def test_ids_are_kept_and_new_ones_are_new(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("b.mp4", b"b")
    found = from_folder(tmp_path)
    folder.arrivals = folder.watched(found=found)
    folder.write("a.mp4", b"a")  # sorts before the other, whose place in the listing moves
    folder.arrivals.poll()
    folder.clock.now += STEADY_S
    ids = {each.path.name: each.id for each in folder.arrivals.poll()}
    assert ids == {"b.mp4": found[0].id, "a.mp4": "1"}


def test_what_is_done_arrives_only_once_it_has_changed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a.mp4", b"done")
    found = from_folder(tmp_path)
    folder.arrivals = folder.watched(found=found, done=found)
    assert folder.after() == folder.after(60) == []
    folder.write("a.mp4", b"another")
    assert folder.after() == [] and folder.after(STEADY_S) == ["a.mp4"]


def test_one_in_hand_is_not_given_again_before_it_is_done_with(folder: Folder) -> None:
    folder.write("a.mp4", b"whole")
    folder.after()
    assert folder.after(STEADY_S, busy=("a.mp4",)) == []
    assert folder.after() == ["a.mp4"]


def test_names_of_unfinished_downloads_and_hidden_files_are_no_sources(folder: Folder) -> None:
    for name in ("a.mp4.part", "b.mp4.crdownload", ".c.mp4.Xy12", "~d.tmp", ".e.mp4"):
        folder.write(name, b"half")
    assert folder.after() == folder.after(STEADY_S) == []
    (folder.path / "a.mp4.part").rename(folder.path / "a.mp4")
    assert folder.after() == [] and folder.after(STEADY_S) == ["a.mp4"]


def test_a_file_that_vanished_is_forgotten(folder: Folder) -> None:
    folder.write("a.mp4", b"whole")
    folder.after()
    (folder.path / "a.mp4").unlink()
    assert folder.after(STEADY_S) == [] and folder.arrivals.growing == []


def test_a_broken_link_is_given_as_what_it_promises(folder: Folder) -> None:
    (folder.path / "a.mp4").symlink_to("gone.mp4")
    assert folder.after() == [] and folder.after(STEADY_S) == ["a.mp4"]


def test_a_folder_that_is_gone_is_told(folder: Folder) -> None:
    folder.path.rmdir()
    with pytest.raises(SourceError, match="no such folder"):
        folder.after()
