"""Whatever a stranger put into a name or a file, a message is one short line that no terminal acts on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidscan import errors
from vidscan.errors import MAX_QUOTED, DecodeError, VidscanError, escaped, quoted
from vidscan.media.ffmpeg import decode
from vidscan.media.frames import read_still
from vidscan.records import Source, SourceKind
from vidscan.scan.reading import describe_failure

HOSTILE = "a\n\x1b[31m\x1b]0;owned\x07\x9b2J\u202egpj.\u200b" + os.fsdecode(b"\xff") + ".mp4"


def test_escaped():
    assert escaped(HOSTILE) == r"a\n\x1b[31m\x1b]0;owned\x07\x9b2J\u202egpj.\u200b\xff.mp4"
    assert escaped("é 日本 😀\u3000x") == "é 日本 😀\u3000x"
    assert escaped(escaped(HOSTILE)) == escaped(HOSTILE)


def test_quoted_is_short():
    assert quoted("a \n b") == "a b"
    assert len(quoted("x" * 10**7)) == len(quoted("\x1b" * 10**7)) == MAX_QUOTED


def test_every_error_is_escaped():
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VidscanError)
    ]
    assert len(kinds) > 8
    for kind in kinds:
        assert str(kind(HOSTILE)) == escaped(HOSTILE)


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="other file systems take no such name")
def test_failures_of_a_file_with_such_a_name(tmp_path: Path):
    path = tmp_path / HOSTILE
    path.write_bytes(b"no medium")
    for read in (decode.probe, lambda path: list(decode.stream_frames(path, 2.0)), read_still):
        with pytest.raises(DecodeError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{escaped(str(path))}: ")
        assert str(caught.value).isprintable()


def test_failure_that_is_not_vidscans_own_is_escaped_and_short_too():
    source = Source("0", Path(HOSTILE), SourceKind.VIDEO)
    told = describe_failure(source, ValueError("\x1b[2J" + "x" * 10_000))
    assert told.message.startswith(f"{escaped(HOSTILE)}: could not be analysed (\\x1b[2Jxxx")
    assert told.message.isprintable() and len(told.message) < 400
