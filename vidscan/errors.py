"""Every error that vidscan raises on purpose.

::

    VidscanError
    ├── UsageError        an option, path or combination that cannot work
    ├── SourceError       a path that is missing, unreadable or no medium
    │   └── DecodeError   a medium whose pictures cannot be decoded
    ├── DetectionError    the face detector could not start or broke down
    ├── ModelError        no checkpoint, or one that is refused
    │   └── CardError     the card beside a checkpoint is malformed
    ├── ScoringError      the network could not score a batch
    └── ReportError       a report cannot be written where it was asked for
        └── JournalError  the journal beside it cannot be written, or not be gone on with

The message is one line for a person: what failed (with the file's name), the cause, and the remedy.
"""

from __future__ import annotations


class VidscanError(Exception):
    """Base of everything raised on purpose; ``str(error)`` is fit to be shown."""


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


class ReportError(VidscanError):
    """A report cannot be written where it was asked for."""


class JournalError(ReportError):
    """The journal of a long scan cannot be written, or cannot be gone on with."""
