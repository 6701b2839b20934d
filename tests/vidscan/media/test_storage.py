"""Remote files: what they are called, how they come here, and what is said where they do not."""

from __future__ import annotations

import functools
import http.server
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidscan.errors import SourceError, UsageError
from vidscan.media import storage

GB = 10**9


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PAUSE_S", 0.01)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it shows."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/cut"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
            elif self.path.startswith("/closed"):
                self.send_error(403)
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["s3://bucket/clip.mp4", "https://host/a.mp4", "GS://b/c", "az+x://a/b"])
def test_urls_are_remote(place: str) -> None:
    assert storage.is_remote(place)


@pytest.mark.parametrize(
    "place", ["clip.mp4", "/a/b.mp4", "file:///a/b.mp4", "a:b.mp4", "C:/x", "./s3:/x", ""]
)
def test_paths_are_not(place: str) -> None:
    assert not storage.is_remote(place)


def test_file_urls_are_paths() -> None:
    assert storage.local_path("file:///a/b%20c.mp4") == Path("/a/b c.mp4")
    assert storage.local_path("a%20b.mp4") == Path("a%20b.mp4")


def test_secrets_are_not_shown() -> None:
    signed = "https://bucket.host/a/clip.mp4?X-Amz-Date=1&X-Amz-Signature=abc"
    assert storage.remote(signed).shown == "https://bucket.host/a/clip.mp4"
    assert storage.remote("https://me:word@host/a.mp4").shown == "https://host/a.mp4"
    assert storage.remote("https://host/a.mp4?part=2").shown == "https://host/a.mp4?part=2"
    assert storage.remote(signed).url == signed
    assert storage.file_name(signed) == "clip.mp4"


def test_bucket_is_listed_in_order_without_hidden_files(s3) -> None:
    for name in ("x/b.mp4", "x/a.mp4", "x/.hidden.mp4", "x/y/c.mp4", "x/.cache/d.mp4", "z.mp4"):
        s3.put("clips", name, b"123")
    flat = storage.list_files("s3://clips/x", recursive=False)
    assert [each.url for each in flat] == ["s3://clips/x/a.mp4", "s3://clips/x/b.mp4"]
    deep = storage.list_files("s3://clips/x/", recursive=True)
    assert [each.url for each in deep] == ["s3://clips/x/a.mp4", "s3://clips/x/b.mp4", "s3://clips/x/y/c.mp4"]


def test_version_changes_with_the_file(s3) -> None:
    url = s3.put("clips", "a.mp4", b"123")
    before = storage.look_up(url)
    assert before == storage.list_files("s3://clips", recursive=False)[0]
    assert before == storage.look_up(url)
    s3.put("clips", "a.mp4", b"124")
    import fsspec

    fsspec.filesystem("s3").invalidate_cache()
    assert storage.look_up(url).version != before.version


def test_a_missing_bucket_is_not_an_empty_one(s3) -> None:
    for recursive in (False, True):
        with pytest.raises(SourceError, match="there is no such file or bucket"):
            storage.list_files("s3://nowhere-at-all/x", recursive=recursive)


def test_a_signature_is_in_no_message(web, tmp_path: Path) -> None:
    address, _ = web
    for name in ("closed.mp4", "cut.mp4", "gone.mp4"):
        url = f"{address}/{name}?X-Amz-Signature=abc123"
        with pytest.raises(SourceError) as raised:
            storage.fetch(storage.remote(url), tmp_path / "copy", limit_bytes=GB)
        assert "abc123" not in str(raised.value) and f"{address}/{name}: " in str(raised.value)
    with pytest.raises(SourceError, match="access denied"):
        storage.look_up(f"{address}/closed.mp4")


def test_a_folder_and_a_web_server_are_refused_before_the_work(s3) -> None:
    s3.put("clips", "in/a.mp4", b"1")
    with pytest.raises(SourceError, match="is a folder: scan it with `vidscan dir`"):
        storage.look_up("s3://clips/in")
    with pytest.raises(SourceError, match="a web server takes no report"):
        storage.require_writable("https://host/out.json")


def test_a_key_may_hold_what_ends_a_path_on_the_web() -> None:
    assert storage.file_name("s3://bucket/a?b#c.mp4") == "a?b#c.mp4"
    assert storage.file_name("https://host/a.mp4?b#c") == "a.mp4"


def test_files_come_here_and_go_there(s3, tmp_path: Path) -> None:
    s3.put("clips", "a.mp4", b"0" * 100_000)
    storage.fetch(storage.remote("s3://clips/a.mp4"), tmp_path / "a", limit_bytes=GB)
    assert (tmp_path / "a").read_bytes() == b"0" * 100_000
    storage.put("s3://clips/out.json", b"{}")
    assert s3.content("clips", "out.json") == b"{}"
    assert storage.fetch_bytes("s3://clips/out.json") == b"{}"


def test_web_servers_are_reached(web, tmp_path: Path) -> None:
    address, folder = web
    (folder / "a.mp4").write_bytes(b"abc")
    place = storage.look_up(f"{address}/a.mp4?part=1")
    storage.fetch(place, tmp_path / "copy", limit_bytes=GB)
    assert (tmp_path / "copy").read_bytes() == b"abc"
    (found,) = storage.list_files(f"{address}/", recursive=False)
    assert found.url == f"{address}/a.mp4"


@pytest.mark.parametrize("name", ["gone.mp4", "cut.mp4", "closed.mp4"])
def test_what_a_server_does_not_give_is_one_line_and_leaves_nothing(web, tmp_path: Path, name: str) -> None:
    address, _ = web
    with pytest.raises(SourceError) as raised:
        storage.fetch(storage.remote(f"{address}/{name}"), tmp_path / "copy", limit_bytes=GB)
    assert str(raised.value).startswith(f"{address}/{name}: cannot be fetched (")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.glob("copy*")) == []


def test_a_file_that_is_too_large_is_refused_before_it_comes(s3, tmp_path: Path) -> None:
    url = s3.put("clips", "a.mp4", b"0" * 5000)
    with pytest.raises(SourceError, match="raise --scratch-gb"):
        storage.fetch(storage.remote(url), tmp_path / "copy", limit_bytes=4999)
    assert list(tmp_path.iterdir()) == []
    storage.fetch(storage.remote(url), tmp_path / "copy", limit_bytes=5000)


def test_missing_buckets_and_files_are_named(s3, tmp_path: Path) -> None:
    s3.put("clips", "a.mp4", b"1")
    for attempt in (
        lambda: storage.look_up("s3://clips/gone.mp4"),
        lambda: storage.fetch(storage.remote("s3://nowhere-at-all/a.mp4"), tmp_path / "x", limit_bytes=GB),
        lambda: storage.put("s3://nowhere-at-all/a.json", b""),
        lambda: storage.require_writable("s3://nowhere-at-all/a.json"),
    ):
        with pytest.raises(SourceError, match=r"^s3://\S+: cannot be .* \(there is no such file or bucket\)"):
            attempt()
    storage.require_writable("s3://clips/new/a.json")


def test_a_transient_failure_is_tried_again(s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3.put("clips", "a.mp4", b"1")
    import s3fs

    fetch, failures = s3fs.S3FileSystem.get_file, iter([OSError("reset"), OSError("reset")])

    def flaky(self, *arguments, **more):
        for failure in failures:
            raise failure
        return fetch(self, *arguments, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "get_file", flaky)
    storage.fetch(storage.remote(url), tmp_path / "copy", limit_bytes=GB)
    assert (tmp_path / "copy").read_bytes() == b"1"


def test_nobody_listening_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match="cannot be fetched"):
        storage.fetch(storage.remote(f"http://127.0.0.1:{port}/a.mp4"), tmp_path / "copy", limit_bytes=GB)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="pip install 'gcsfs'"):
        storage.list_files("gs://bucket/x", recursive=False)
    with pytest.raises(SourceError, match="Protocol not known"):
        storage.list_files("nonsense://bucket/x", recursive=False)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"pip install 'vidscan\[remote\]'"):
        storage.list_files("s3://bucket/x", recursive=False)
