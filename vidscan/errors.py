"""Every error that vidscan raises on purpose.

The message is one line for a person: what failed (with the file's name), the cause, and the remedy.
"""

from __future__ import annotations

import unicodedata

MAX_QUOTED = 160
"""Characters of a stranger's words that a message repeats."""


class VidscanError(Exception):
    """Base of everything raised on purpose; ``str(error)`` is fit to be shown on any terminal."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


class UsageError(VidscanError):
    """An option, a path or a combination of options that cannot work."""


class SourceError(VidscanError):
    """A source is missing, unreadable or not a medium that vidscan reads."""


class DecodeError(SourceError):
    """A source was opened, but its pictures cannot be decoded."""


class DetectionError(VidscanError):
    """The face detector could not be started or failed on a frame."""


class ModelError(VidscanError):
    """No checkpoint was found, or the one found is refused."""


class CardError(ModelError):
    """The card (JSON) beside a checkpoint is malformed or contradicts it."""


class ScoringError(VidscanError):
    """The network failed while it scored a batch."""


class WorkerError(VidscanError):
    """The process that does the work died over a source, hung, or cannot be started."""


class ClusterError(VidscanError):
    """A cluster cannot be reached, has no room, or runs something else than the machine that asks."""


class ReportError(VidscanError):
    """A report cannot be written where it was asked for."""


class StoreError(ReportError):
    """A store of results cannot be read or written, or cannot be gone on with."""


def escaped(text: str) -> str:
    r"""``text`` on one line, with what a terminal would act on or hide written as an escape (``\x1b``).

    A byte of a file's name that is not UTF-8 becomes ``\xNN`` too.
    """
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that it could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def quoted(text: str) -> str:
    """A stranger's words as a message may repeat them: escaped, on one line of ``MAX_QUOTED`` characters."""
    short = escaped(" ".join(text[: 4 * MAX_QUOTED].split()))
    return short if len(short) <= MAX_QUOTED else short[: MAX_QUOTED - 1] + "…"
