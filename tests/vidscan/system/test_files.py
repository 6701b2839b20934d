"""The one way to write a file: the old one or the whole new one, whatever breaks in between."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from vidscan.errors import ReportError
from vidscan.system.files import raising, replacing, replacing_together, sha256_of


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(0o640)
    return path


def test_a_file_takes_the_place_and_the_permissions_of_the_old_one(old: Path):
    with replacing(old) as temporary:
        temporary.write_text("new")
        assert temporary.parent == old.parent and temporary.suffix == ".json"
        assert old.read_text() == "old"
    assert old.read_text() == "new" and stat.S_IMODE(old.stat().st_mode) == 0o640
    assert list(old.parent.iterdir()) == [old]


def test_of_several_files_all_are_replaced_or_none(old: Path):
    other = old.with_suffix(".csv")
    with pytest.raises(ValueError, match="broken"), replacing_together([old, other]) as (first, _):
        first.write_text("new")
        raise ValueError("broken")
    with pytest.raises(FileNotFoundError), replacing_together([old, other]) as (first, _):
        first.write_text("new")  # and the second is forgotten
    assert list(old.parent.iterdir()) == [old] and old.read_text() == "old"
    with replacing_together([old, other]) as both:
        for number, path in enumerate(both):
            path.write_text(str(number))
    assert (old.read_text(), other.read_text()) == ("0", "1")


@pytest.mark.parametrize("followed", [True, False])
def test_a_link_is_followed_or_replaced(old: Path, followed: bool):
    link = old.with_name("latest.json")
    link.symlink_to(old)
    with replacing(link, follow_links=followed) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() == followed and link.read_text() == "new"
    assert old.read_text() == ("new" if followed else "old")


def test_the_temporary_name_ends_as_asked(old: Path):
    with replacing(old, ending=".tmp") as temporary:
        assert temporary.name.endswith(".partial.tmp")
        temporary.write_text("new")
    assert old.read_text() == "new"


def test_a_hash_of_a_file_is_that_of_its_bytes(old: Path):
    assert sha256_of(old) == sha256_of(b"old") == hashlib.sha256(b"old").hexdigest()


def test_a_system_error_becomes_one_of_ours_in_one_line():
    for error, cause in (
        (OSError(28, "No space left"), "No space left"),
        (OSError("two\nlines"), "two lines"),
        (OSError(), "OSError"),
    ):
        with pytest.raises(ReportError) as caught, raising(ReportError):
            raise error
        assert str(caught.value) == cause and caught.value.__cause__ is error
    with pytest.raises(ValueError, match="x"), raising(ReportError):
        raise ValueError("x")
    with pytest.raises(ReportError, match="x"), raising(ReportError, Exception):
        raise ValueError("x")
