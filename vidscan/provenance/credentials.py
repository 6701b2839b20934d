"""Has a confined process verify a file's Content Credentials; see :mod:`credentials_worker`, what it runs."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, Self

from vidscan.errors import VidscanError
from vidscan.provenance.manifest import credentials_of
from vidscan.records import ContentCredentials, CredentialsState
from vidscan.records.provenance import shortened
from vidscan.system.processes import Child, Stalled

MAX_MANIFEST = 32 << 20
"""Upper limit on the bytes of a file's manifest store. Those of cameras and generators, thumbnails included,
have less than 1 MB; c2pa takes several times as much memory as a store has bytes."""

MAX_MEMORY = 1 << 30
"""Upper limit on the private memory of the process and of each of its forks, in bytes."""

MIN_TIME_S = 10.0
"""Time limit in seconds for reading the credentials of a small file."""

BYTES_PER_S = 20_000_000
"""Slowest rate at which the content of a large file is hashed before it counts as hung."""

START_S = 20.0
"""Time limit in seconds for the start of the process."""

MAX_REPLY = 32 << 20
"""Upper limit on the bytes of a reply; the process keeps to less."""

WORKER = (sys.executable, "-I", str(Path(__file__).with_name("credentials_worker.py")))

SETTINGS: dict[str, Any] = {
    # No network: remote manifests, revocation lists and identities (did:web) are left alone.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
}


class CredentialsReader:
    """Reads the Content Credentials of files, each in a process that may die. Use as a context manager.

    The process starts with the first file, and anew after one over which it died or hung.
    """

    def __init__(self, anchors: str = "") -> None:
        """``anchors``: certificates, in PEM, of those whom the user trusts."""
        trust = {"trust": {"user_anchors": anchors}} if anchors else {}
        self._settings = json.dumps(SETTINGS | trust).encode("ascii") + b"\n"
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, path: Path, mime: str, manifest_bytes: int) -> ContentCredentials | None:
        """The credentials of a file; None where there turn out to be none.

        Where they cannot be read, the state is ``unreadable`` and the note says why.
        """
        if manifest_bytes > MAX_MANIFEST:
            return _unreadable(
                f"they have {manifest_bytes / 1e6:.0f} MB, and vidscan reads {MAX_MANIFEST >> 20} MiB at most"
            )
        limit_s = MIN_TIME_S + path.stat().st_size / BYTES_PER_S
        try:
            reply = self._asked({"path": str(path), "mime": mime, "seconds": int(limit_s) + 1}, limit_s)
        except Stalled:
            self._end()
            return _unreadable(f"reading them took longer than {limit_s:.0f} s")
        except (EOFError, OSError, VidscanError):
            self._end()
            return _unreadable("the process that reads them does not work: is c2pa-python installed?")
        return _result(reply)

    def _asked(self, request: dict[str, Any], limit_s: float) -> bytes:
        deadline = time.monotonic() + limit_s
        if self._child is None:
            deadline += START_S
            self._child = Child(WORKER, fed=True, heard=False, memory=MAX_MEMORY)
            self._child.write(self._settings, deadline)
        self._child.write(json.dumps(request).encode("ascii") + b"\n", deadline)
        head = self._child.read(4, deadline)
        length = int.from_bytes(head, "big")
        reply = self._child.read(length, deadline) if len(head) == 4 and length <= MAX_REPLY else b""
        if not reply or len(reply) < length:
            raise EOFError
        return bytes(reply)

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _unreadable(note: str) -> ContentCredentials:
    return ContentCredentials(CredentialsState.UNREADABLE, note=shortened(note))


def _result(reply: bytes) -> ContentCredentials | None:
    """The credentials that the process told of; what it says may be made up by the file."""
    try:
        said = json.loads(reply)
        match said:
            case {"store": None}:
                return None
            case {"store": str(store)}:
                return credentials_of(json.loads(store))
            case {"error": str(error)}:
                return _unreadable(error)
            case {"died": int(number)}:
                return _unreadable(f"the process that read them ended too early ({_signal(number)})")
    except (ValueError, RecursionError) as error:
        return _unreadable(f"what they say is malformed ({error})")
    return _unreadable("what they say is malformed")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"code {-number}"
