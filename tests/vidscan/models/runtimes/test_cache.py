"""The cache of converted networks: what is taken from it, and what never is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidscan.models.runtimes import cache, conversion
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.system import user_folder
from vidscan.system.files import sha256_of

CHECKPOINT_SHA, KEY, NETWORK = "c" * 64, "key", b"a network"
MANIFEST = cache.Manifest(CHECKPOINT_SHA, "onnx-1", sha256_of(NETWORK), 1e-6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDSCAN_CACHE", str(tmp_path / "cache"))
    return user_folder.trusted_folder()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "some.keras"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A conversion that costs nothing, and the checkpoints that were put through it."""
    made: list[Path] = []

    def convert(path: Path, sha256: str) -> tuple[bytes, cache.Manifest]:
        made.append(path)
        return (NETWORK, cache.Manifest(sha256, "onnx-1", MANIFEST.sha256, 0.0))

    monkeypatch.setattr(conversion, "convert", convert)
    return made


def test_place_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("VIDSCAN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert user_folder.cache_folder() == tmp_path / ".cache" / "vidscan"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_folder.cache_folder() == Path("/somewhere/vidscan")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_folder.cache_folder() == tmp_path / "Library" / "Caches" / "vidscan"
    monkeypatch.setenv("VIDSCAN_CACHE", "~/mine")
    assert user_folder.cache_folder() == tmp_path / "mine"


def test_entry_comes_back_and_nothing_else_is_left(folder: Path):
    assert cache.read_entry(folder, KEY, CHECKPOINT_SHA) is None
    for _ in range(2):  # the second replaces the first
        cache.write_entry(folder, KEY, NETWORK, MANIFEST)
    assert cache.read_entry(folder, KEY, CHECKPOINT_SHA) == NETWORK
    assert [path.name for path in folder.iterdir()] == [KEY]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache.size_of(folder) > len(NETWORK)


@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: (entry / cache.NETWORK).write_bytes(b"another one"),
        lambda entry: (entry / cache.NETWORK).write_bytes(NETWORK[:-1]),
        lambda entry: (entry / cache.NETWORK).unlink(),
        lambda entry: (entry / cache.MANIFEST).unlink(),
        lambda entry: (entry / cache.MANIFEST).write_text("{}"),
        lambda entry: (entry / cache.MANIFEST).write_text("[]"),
        lambda entry: (entry / cache.MANIFEST).write_bytes(b"\xff\xfe"),
        lambda entry: entry.chmod(0o777),
    ],
)
def test_damaged_entry_is_not_taken_and_made_again(harm, folder, checkpoint, conversions):
    assert conversion.convert_once(checkpoint) == NETWORK
    assert conversion.convert_once(checkpoint) == NETWORK
    assert len(conversions) == 1
    (entry,) = (path for path in folder.iterdir() if path.is_dir())
    harm(entry)
    assert conversion.convert_once(checkpoint) == NETWORK
    assert conversion.convert_once(checkpoint) == NETWORK
    assert len(conversions) == 2


def test_entry_of_another_checkpoint_is_not_taken(folder: Path):
    cache.write_entry(folder, KEY, NETWORK, MANIFEST)
    assert cache.read_entry(folder, KEY, "d" * 64) is None


def test_entry_that_is_a_link_is_not_taken(folder: Path, tmp_path: Path):
    cache.write_entry(tmp_path, KEY, NETWORK, MANIFEST)
    (folder / KEY).symlink_to(tmp_path / KEY)
    assert cache.read_entry(folder, KEY, CHECKPOINT_SHA) is None
    cache.write_entry(folder, KEY, NETWORK, MANIFEST)
    assert cache.read_entry(folder, KEY, CHECKPOINT_SHA) == NETWORK
    assert cache.read_entry(tmp_path, KEY, CHECKPOINT_SHA) == NETWORK


def test_another_checkpoint_is_another_entry(folder, checkpoint, conversions, tmp_path):
    other = tmp_path / "other.keras"
    other.write_bytes(b"other weights")
    for path in (checkpoint, other, checkpoint):
        conversion.convert_once(path)
    assert conversions == [checkpoint, other]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720])
def test_folder_that_others_can_write_to_is_not_read(mode, folder, checkpoint, conversions, caplog):
    conversion.convert_once(checkpoint)
    folder.chmod(mode)
    assert conversion.convert_once(checkpoint) == NETWORK
    assert len(conversions) == 2
    (warning,) = caplog.messages
    assert str(folder) in warning and "can be written to by others" in warning and "VIDSCAN_CACHE" in warning


def test_folder_of_somebody_else_is_not_read(folder, checkpoint, conversions, caplog, monkeypatch):
    conversion.convert_once(checkpoint)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    conversion.convert_once(checkpoint)
    assert len(conversions) == 2
    assert "belongs to another user" in caplog.text


def test_folder_that_cannot_be_made_costs_a_warning(tmp_path, checkpoint, conversions, caplog, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDSCAN_CACHE", str(tmp_path / "file" / "cache"))
    assert conversion.convert_once(checkpoint) == NETWORK
    assert "cannot be made" in caplog.text


@pytest.mark.slow
def test_processes_that_start_at_once_convert_once(folder: Path, checkpoint: Path, tmp_path: Path):
    code = f"""
import sys, time
from pathlib import Path
from vidscan.system import user_folder
from vidscan.system.files import sha256_of
from vidscan.models.runtimes import cache, conversion

def convert(path, sha256):
    with Path({str(tmp_path / "log")!r}).open("a") as log:
        log.write("x")
    time.sleep(0.3)
    return (b"net", cache.Manifest(sha256, "onnx-1", sha256_of(b"net"), 0.0))

conversion.convert = convert
assert conversion.convert_once(Path({str(checkpoint)!r})) == b"net"
assert not {{"tensorflow", "keras", "onnxruntime"}} & set(sys.modules)
"""
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "x"
    assert sorted(path.name[0] for path in folder.iterdir()) == sorted([".", cache_key(checkpoint)[0]])


def cache_key(checkpoint: Path) -> str:
    return f"{sha256_of(checkpoint.read_bytes())}-{conversion.CONVERTER}"


def test_writers_without_a_lock_leave_a_whole_entry(folder: Path):
    code = """
import sys
from pathlib import Path
from vidscan.models.runtimes import cache
from vidscan.system.files import sha256_of
network = sys.argv[1].encode() * 100000
for _ in range(60):
    cache.write_entry(Path(sys.argv[2]), "key", network, cache.Manifest("c" * 64, "x",
                      sha256_of(network), 0.0))
"""
    running = [subprocess.Popen([sys.executable, "-c", code, name, str(folder)]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    assert cache.read_entry(folder, "key", CHECKPOINT_SHA) in (b"a" * 100000, b"b" * 100000)
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_converter_that_breaks_down_is_told(folder, checkpoint, monkeypatch):
    monkeypatch.setattr(conversion, "inspect_archive", lambda path: None)
    # The module's name alone: the guardian of processes is started by the real interpreter.
    monkeypatch.setattr(conversion, "sys", SimpleNamespace(executable="/no/such/python"))
    with pytest.raises(RuntimeUnavailableError, match=r"some\.keras: cannot be converted.*cannot be started"):
        conversion.convert_once(checkpoint)
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_checkpoint_that_changes_meanwhile_is_told(folder, checkpoint, monkeypatch):
    def converter(path: Path, target: Path) -> dict[str, object]:
        target.write_bytes(NETWORK)
        return {
            "manifest": {
                "checkpoint_sha256": "e" * 64,
                "converter": "",
                "sha256": MANIFEST.sha256,
                "max_difference": 0.0,
            }
        }

    monkeypatch.setattr(conversion, "inspect_archive", lambda path: None)
    monkeypatch.setattr(conversion, "_run_converter", converter)
    with pytest.raises(RuntimeUnavailableError, match="was changed while it was converted"):
        conversion.convert_once(checkpoint)
