"""Reads Content Credentials where it may crash: a program of its own, which knows nothing of vidscan.

It is run by its path, so that Python starts with the standard library and c2pa alone. On standard input come
lines of JSON: first c2pa's settings, then a file each (``path``, ``mime``, ``seconds``). For each, standard
output gets the length of an answer in four bytes, and the answer, JSON: ``{"store": TEXT}`` with what c2pa
says, null where it found nothing; ``{"error": TEXT}`` where it could not read; or ``{"died": SIGNAL}``.

c2pa is imported once, before any file is opened, and each file is read in a fork of its own, which can open
no further file or connection and write to nothing but the pipe that takes its answer.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

MAX_ANSWER = 8 << 20
"""Upper limit on the bytes of an answer."""

MAX_ERROR = 400


def main() -> None:
    """Answers requests until standard input ends."""
    import c2pa

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    settings = json.loads(requests.readline())
    for line in requests:
        answer = _ask(c2pa, settings, json.loads(line))
        answers.write(len(answer).to_bytes(4, "big") + answer)
        answers.flush()


def _ask(library: Any, settings: dict[str, Any], request: dict[str, Any]) -> bytes:
    """The answer of a fork that reads one file."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            _write(theirs, _answer(library, settings, request))
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        answer = pipe.read(MAX_ANSWER + 1)
    os.kill(child, signal.SIGKILL)  # of no effect on one that has ended, and is not yet waited for
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if len(answer) > MAX_ANSWER:
        return _told(error=f"what they say takes more than {MAX_ANSWER >> 20} MiB")
    return answer or _told(died=-ended)


def _answer(library: Any, settings: dict[str, Any], request: dict[str, Any]) -> bytes:
    try:
        with open(os.fsencode(request["path"]), "rb") as file:  # noqa: PTH123 - pathlib takes no bytes
            for descriptor in range(3):
                os.close(descriptor)
            _confine(request["seconds"])
            context = library.Context.from_dict(settings)
            reader = library.Reader.try_create(request["mime"], file, context=context)
            return _told(store=None if reader is None else reader.json())
    except (library.C2paError, OSError, ValueError, MemoryError) as error:
        return _told(error=(str(error) or type(error).__name__)[:MAX_ERROR])


def _confine(seconds: int) -> None:
    """From now on: no further descriptor (file, socket, program), nothing written to a file, little time."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _told(**said: Any) -> bytes:
    return json.dumps(said).encode("ascii")


def _write(pipe: int, answer: bytes) -> None:
    view = memoryview(answer)
    while view:
        view = view[os.write(pipe, view) :]


if __name__ == "__main__":
    main()
