"""Clips made to make ffmpeg open other files, call home, take all memory, or never end.

Each list of other files works on an ffmpeg that nothing holds back: the test would show nothing otherwise.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_program import fake_ffmpeg

from vidscan.errors import DecodeError
from vidscan.media.ffmpeg import decode, program
from vidscan.media.ffmpeg import output as ffmpeg_output

posix = pytest.mark.skipif(os.name != "posix", reason="needs shell scripts")


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    decode.find_program.cache_clear()
    decode.passthrough_option.cache_clear()


def use_fake(monkeypatch: pytest.MonkeyPatch, folder: Path, decoding: str, header: str | None = None) -> None:
    decode.find_program.cache_clear()
    decode.passthrough_option.cache_clear()
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(fake_ffmpeg(folder, decoding, header)))


class Listener:
    """A server on this machine that hangs up on everyone and counts them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/secret.ts"
        self.calls = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.calls += 1
                caller.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


@pytest.fixture
def secret(make_clip, tmp_path: Path) -> Path:
    """A folder with a clip and a picture that are none of the hostile file's business."""
    source = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1")
    for name, codec in (("secret.ts", "mpeg2video"), ("secret.mp4", "mpeg4"), ("secret1.png", "png")):
        rate = ("-r", "25") if codec == "mpeg2video" else ("-frames:v", "1") if codec == "png" else ()
        made = make_clip(name, *source, "-c:v", codec, *rate)
        (tmp_path / name).write_bytes(made.read_bytes())
    return tmp_path


def hls(folder: Path, segment: str, key: str = "") -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{key}#EXTINF:1,\n{segment}\n#EXT-X-ENDLIST\n"


def dash(folder: Path, segment: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000" width="64" height="48">'
        f"<BaseURL>{segment}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )


def data_url(folder: Path) -> str:
    return "data:video/mp2t;base64," + base64.b64encode((folder / "secret.ts").read_bytes()).decode()


def subfile(folder: Path) -> str:
    return f"subfile,,start,0,end,{(folder / 'secret.ts').stat().st_size},,:{folder}/secret.ts"


READERS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "hls": ("list.m3u8", lambda folder: hls(folder, "secret.ts")),
    "concat": ("clip.mp4", lambda folder: "ffconcat version 1.0\nfile secret.ts\n"),
    "concat by absolute name": (
        "clip.mp4",
        lambda folder: f"ffconcat version 1.0\nfile {folder}/secret.ts\n",
    ),
    "concat by data": ("clip.mp4", lambda folder: f"ffconcat version 1.0\nfile {data_url(folder)}\n"),
    "concat by subfile": ("clip.mp4", lambda folder: f"ffconcat version 1.0\nfile {subfile(folder)}\n"),
    "concat by async": (
        "clip.mp4",
        lambda folder: f"ffconcat version 1.0\nfile async:file:{folder}/secret.ts\n",
    ),
    "dash": ("clip.mpd", lambda folder: dash(folder, "secret.mp4")),
    "numbered": ("secret%d.png", lambda folder: "not read at all"),
}
"""Files that make ffmpeg read another: their names, and what is in them."""

CALLERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "hls": ("list.m3u8", lambda address: hls(Path(), address)),
    "hls with a key": (
        "list.m3u8",
        lambda address: hls(Path(), "secret.ts", f'#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n'),
    ),
    "concat": ("clip.mp4", lambda address: f"ffconcat version 1.0\nfile {address}\n"),
    "dash": ("clip.mpd", lambda address: dash(Path(), address)),
}  # fmt: skip
"""Files that make ffmpeg call an address."""


def unprotected(path: Path) -> bytes:
    """The first frame as an ffmpeg decodes it that may do anything."""
    allowed = ("-protocol_whitelist", "file,http,tcp,crypto,data,subfile,async", "-safe", "0")
    options = allowed if path.suffix == ".mp4" else allowed[:2]
    command = [decode.find_program(), "-nostdin", "-v", "error", *options, "-i", str(path)]
    output = ("-frames:v", "1", "-f", "rawvideo", "-")
    return subprocess.run([*command, *output], capture_output=True, timeout=60, check=False).stdout


def refuses(path: Path, reason: str = "") -> None:
    for read in (decode.probe, lambda path: list(decode.stream_frames(path, 2.0))):
        with pytest.raises(DecodeError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ") and reason in str(caught.value)


@pytest.mark.parametrize("attack", READERS)
def test_list_of_other_files_is_not_followed(secret: Path, attack: str):
    name, content = READERS[attack]
    path = secret / name
    path.write_text(content(secret))
    assert unprotected(path), "this attack would work on nobody"
    refuses(path)


@pytest.mark.parametrize("attack", CALLERS)
def test_nobody_is_called(secret: Path, listener: Listener, attack: str):
    name, content = CALLERS[attack]
    path = secret / name
    path.write_text(content(listener.address))
    refuses(path)
    assert listener.calls == 0
    unprotected(path)
    assert listener.calls > 0, "this attack would reach nobody"


def test_only_local_files_are_opened_whatever_the_name(secret: Path, monkeypatch: pytest.MonkeyPatch):
    """The second line of defence, behind the ``file:`` before every name."""
    monkeypatch.chdir(secret)
    monkeypatch.setattr(decode, "local_name", str)
    assert decode.probe(Path("secret.ts")).width == 64
    with pytest.raises(DecodeError, match="no video that ffmpeg can read"):
        decode.probe(Path("concat:secret.ts"))


def test_session_description_is_not_followed(tmp_path: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "clip.mp4"
    path.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n"
    )
    refuses(path, "does not read")  # it does not listen for the session, which would give nothing


@pytest.mark.parametrize(
    "content", ["movie=secret.mp4", "1\n00:00:00,000 --> 00:00:01,000\n{\\fnmovie=secret.mp4}\n"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.srt", "a.ass", "movie=secret.mp4", "x,movie=secret.mp4[out]"])
def test_text_is_neither_a_filter_nor_subtitles(secret: Path, monkeypatch, name: str, content: str):
    monkeypatch.chdir(secret)
    Path(name).write_text(content)
    refuses(Path(name))


def test_playlist_is_called_what_it_is(secret: Path):
    path = secret / "clip.mp4"
    path.write_text("ffconcat version 1.0\nfile secret.ts\n")
    with pytest.raises(
        DecodeError, match="of a format that vidscan does not read, such as a playlist: give the"
    ):
        decode.probe(path)


def bomb(width: int, height: int) -> bytes:
    """A GIF of a few bytes with a single dot on a screen of this size."""
    screen = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00\x3b"


def test_clip_of_enormous_pictures_is_refused(tmp_path: Path):
    path = tmp_path / "bomb.gif"
    path.write_bytes(bomb(300, 200))
    assert len(list(decode.stream_frames(path, 2.0))) == 1
    path.write_bytes(bomb(9000, 8000))  # ffmpeg itself would go on to 268 million pixels
    with pytest.raises(DecodeError, match="more than 67108864 pixels, the most that vidscan decodes: reduce"):
        list(decode.stream_frames(path, 2.0))


MARKED = 'printf "[showinfo@$mark @ 0x1] n: 0 pts: 0 pts_time:0 \\n" >&2; '


@posix
def test_size_of_a_picture_is_looked_at_before_it_is_read(monkeypatch, tmp_path: Path, clip: Path):
    use_fake(monkeypatch, tmp_path, MARKED + "printf 'P6\\n60000 60000\\n255\\n'")
    with pytest.raises(DecodeError, match="gave a picture of 60000x60000 pixels"):
        list(decode.stream_frames(clip, 2.0))


@posix
def test_clip_that_never_ends_is_given_up(monkeypatch, tmp_path: Path):
    path = tmp_path / "short.mp4"
    path.write_bytes(b"clip" * 10)
    use_fake(monkeypatch, tmp_path, f"while {MARKED} printf 'P6\\n1 1\\n255\\nRGB'; do :; done")
    frames = 0
    with pytest.raises(DecodeError, match="gives more frames than it has bytes, to keep the scan busy"):
        for _ in decode.stream_frames(path, 2.0):
            frames += 1
    assert frames == 40


@posix
def test_crash_of_the_decoder_is_a_failure_even_after_good_frames(monkeypatch, tmp_path: Path, clip: Path):
    use_fake(monkeypatch, tmp_path, MARKED + "printf 'P6\\n1 1\\n255\\nRGB'; kill -SEGV $$")
    with pytest.raises(DecodeError, match=r"ffmpeg crashed \(signal 11\) after 1 frames: re-encode"):
        list(decode.stream_frames(clip, 2.0))


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="other systems cannot be told to")
def test_memory_is_limited(monkeypatch, tmp_path: Path, clip: Path):
    told = 'sleep 0.5; echo "[limit] $(ulimit -d)" >&2'
    use_fake(monkeypatch, tmp_path, told, told)
    monkeypatch.setattr(program, "memory_limit", lambda: 3 << 30)
    for read in (decode.probe, lambda path: list(decode.stream_frames(path, 2.0))):
        with pytest.raises(DecodeError, match=rf"\({(3 << 30) // 1024}\)"):
            read(clip)


def test_want_of_memory_is_called_so():
    error = ffmpeg_output.failure(
        Path("a.mp4"), "x", "y", ["[in] Error opening input: Cannot allocate memory"]
    )
    assert str(error).startswith("a.mp4: ffmpeg would need more than ")


@posix
def test_flood_of_words_about_a_header_is_cut_off(monkeypatch, tmp_path: Path, clip: Path):
    use_fake(monkeypatch, tmp_path, "true", header="yes 0123456789 >&2")
    with pytest.raises(DecodeError, match="no video that ffmpeg can read"):
        decode.probe(clip)


@posix
def test_endless_line_is_not_kept(monkeypatch, tmp_path: Path, clip: Path):
    use_fake(
        monkeypatch, tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo '[end] cause' >&2"
    )
    with pytest.raises(DecodeError, match=r"\(cause\)"):
        list(decode.stream_frames(clip, 2.0))


def test_lines_are_cut_to_a_length(tmp_path: Path):
    (tmp_path / "words").write_bytes(b"a\n" + b"x" * 1_000_000 + b"\nb\n")
    with (tmp_path / "words").open("rb", buffering=0) as stream:
        assert [len(line) for line in ffmpeg_output._lines(stream)] == [2, ffmpeg_output.MAX_LINE, 2]


def language(make_clip, clip: Path, name: str, text: str) -> Path:
    """A copy whose track says that its language is ``text``, which ffmpeg prints as it stands."""
    return make_clip(name, "-i", clip, "-c", "copy", "-metadata:s:v", f"language={text}")


def test_times_cannot_be_forged_by_what_a_track_says_of_itself(make_clip, clip: Path):
    forged = "eng)\nStream mapping:\n[Parsed_showinfo_1 @ 0x5] n:   0 pts:      0 pts_time:77 dur\n"
    path = language(make_clip, clip, "forged.mkv", forged)
    times = [round(moment, 2) for moment, _ in decode.stream_frames(path, 2.0)]
    assert times == [0, 0.52, 1, 1.52]


@pytest.mark.timeout(60)
def test_header_that_is_slow_to_search_is_not(make_clip, clip: Path):
    assert decode.probe(language(make_clip, clip, "slow.mkv", ": Video: a" * 8000)).width == 64


def test_cause_is_quoted_escaped_and_short():
    line = "[mov @ 0x5] \x1b]0;owned\x07" + "long " * 1000
    quoted = ffmpeg_output.cause_of([line])
    assert quoted.startswith("\\x1b]0;owned\\x07long long") and quoted.isprintable()
    assert len(quoted) == 160
