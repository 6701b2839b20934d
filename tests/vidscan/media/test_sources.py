"""Which files a scan takes, and what it says of a path that it cannot take."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from vidscan.errors import SourceError
from vidscan.media.sources import (
    IMAGE_SUFFIXES,
    SUBFOLDERS,
    VIDEO_SUFFIXES,
    from_folder,
    from_paths,
    kind_of,
)
from vidscan.records import SourceKind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.JPG", "notes.txt", ".hidden.mp4", "sub/c.mkv", ".cache/d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(sources) -> list[str]:
    return [source.path.name for source in sources]


def test_kind_goes_by_the_suffix_in_any_case():
    assert kind_of(Path("x.MP4")) is SourceKind.VIDEO
    assert kind_of(Path("x.jpeg")) is SourceKind.IMAGE
    assert kind_of(Path("x.txt")) is None
    assert kind_of(Path("mp4")) is None
    assert not VIDEO_SUFFIXES & IMAGE_SUFFIXES
    assert all(suffix.startswith(".") for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES)


def test_paths_keep_their_order_and_get_ids_of_their_own(folder: Path):
    sources = from_paths([folder / "b.mp4", folder / "a.JPG", folder / "b.mp4"])
    assert names(sources) == ["b.mp4", "a.JPG", "b.mp4"]
    assert [source.kind for source in sources] == [SourceKind.VIDEO, SourceKind.IMAGE, SourceKind.VIDEO]
    assert len({source.id for source in sources}) == 3


def test_named_file_of_unknown_suffix_is_taken_for_a_clip(folder: Path):
    (source,) = from_paths([folder / "notes.txt"])
    assert source.kind is SourceKind.VIDEO


def test_kind_can_be_forced(folder: Path):
    (source,) = from_paths([folder / "notes.txt"], SourceKind.IMAGE)
    assert source.kind is SourceKind.IMAGE


def test_missing_path(tmp_path: Path):
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file"):
        from_paths([tmp_path / "gone.mp4"])


def test_folder_among_paths_names_the_right_command(folder: Path):
    with pytest.raises(SourceError, match="vidscan dir"):
        from_paths([folder])


def test_folder_is_sorted_and_leaves_out_hidden_and_foreign_files(folder: Path):
    assert names(from_folder(folder)) == ["a.JPG", "b.mp4"]


def test_folder_tells_what_it_leaves_out(folder: Path):
    for name in ("x.PSD", "y.psd", "sub/z.psd", "none"):
        (folder / name).touch()
    skipped = Counter[str]()
    from_folder(folder, skipped=skipped)
    assert skipped == {".psd": 2, ".txt": 1, "": 1, SUBFOLDERS: 1}
    from_folder(folder, recursive=True, skipped=(below := Counter[str]()))
    assert below[".psd"] == 3 and SUBFOLDERS not in below


def test_recursive_goes_below_but_not_into_hidden_folders(folder: Path):
    assert names(from_folder(folder, recursive=True)) == ["a.JPG", "b.mp4", "c.mkv"]


def test_loop_of_links_is_not_walked(folder: Path):
    (folder / "sub" / "loop").symlink_to(folder)
    assert names(from_folder(folder, recursive=True)) == ["a.JPG", "b.mp4", "c.mkv"]


def test_link_to_a_file_is_taken_and_so_is_a_dead_one_for_the_report_to_tell_of(folder: Path):
    (folder / "link.mp4").symlink_to(folder / "sub" / "c.mkv")
    (folder / "dead.mp4").symlink_to(folder / "gone.mp4")
    assert names(from_folder(folder)) == ["a.JPG", "b.mp4", "dead.mp4", "link.mp4"]


def test_missing_folder(tmp_path: Path):
    with pytest.raises(SourceError, match="no such folder"):
        from_folder(tmp_path / "gone")


def test_file_in_place_of_a_folder(folder: Path):
    with pytest.raises(SourceError, match="vidscan run"):
        from_folder(folder / "b.mp4")


def test_folder_without_media_hints_at_recursive_until_it_was_given(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match="--recursive"):
        from_folder(tmp_path)
    with pytest.raises(SourceError, match="holds no clip or still") as caught:
        from_folder(tmp_path, recursive=True)
    assert "--recursive" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_unreadable_folder(folder: Path):
    folder.chmod(0)
    try:
        with pytest.raises(SourceError, match="cannot be read"):
            from_folder(folder)
    finally:
        folder.chmod(0o700)
