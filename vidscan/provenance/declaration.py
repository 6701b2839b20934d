"""What entries and credentials come to together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vidscan.provenance.contents import Contents
from vidscan.provenance.marks import tag_of
from vidscan.records import Action, ContentCredentials, CredentialsState, Meaning, Provenance, Tag
from vidscan.records.provenance import shortened

MAX_TAGS = 40
"""Upper limit on the entries of a file that a report lists."""

_MAKES = ("make", "com.apple.quicktime.make", "com.android.manufacturer", "©mak")
_MODELS = ("model", "com.apple.quicktime.model", "com.android.model", "©mod")
_PROGRAMS = ("aisystemused", "creatortool", "credit", "software", "©swr")
"""Entries that name a program, those first that speak of AI pictures."""


def provenance_of(found: Contents, credentials: ContentCredentials | None, note: str = "") -> Provenance:
    """Everything that the file says of itself; ``note`` says what could not be read."""
    tags = tuple(dict.fromkeys(tag for entry in found.entries if (tag := tag_of(entry)) is not None))
    remote = next((entry.value for entry in found.entries if _names_remote(entry.name, entry.value)), "")
    if remote:
        elsewhere = ContentCredentials(CredentialsState.REMOTE)
        credentials = replace(credentials or elsewhere, url=shortened(remote))
    declares_ai = _declares_ai(tags, credentials)
    return Provenance(
        declares_ai,
        generator=_generator(tags, credentials, declares_ai),
        camera=_camera(tags),
        content_credentials=credentials,
        tags=tags[:MAX_TAGS],
        note=shortened(note),
    )


def _names_remote(name: str, value: str) -> bool:
    """Whether an entry is XMP's ``dcterms:provenance``, by which a file names credentials elsewhere."""
    return name == "provenance" and value.startswith(("https://", "http://"))


def _declares_ai(tags: Iterable[Tag], credentials: ContentCredentials | None) -> bool | None:
    if _ai_action(credentials) is not None or any(tag.meaning.is_ai for tag in tags):
        return True
    return None if _capture(credentials) is None else False


def _ai_action(credentials: ContentCredentials | None) -> Action | None:
    if credentials is None:
        return None
    own = (each for each in credentials.actions if each.meaning.is_ai)
    return next(own, credentials.inherited)


def _capture(credentials: ContentCredentials | None) -> Action | None:
    """The action by which valid credentials say that the file itself was captured."""
    if credentials is None or credentials.state is not CredentialsState.VALID:
        return None
    made = (each for each in credentials.actions if each.action == "c2pa.created")
    return next((each for each in made if each.meaning is Meaning.CAPTURED), None)


def _generator(tags: Sequence[Tag], credentials: ContentCredentials | None, declares_ai: bool | None) -> str:
    """The program named as the maker: where something speaks of AI or of a capture, the one that it names."""
    action = _ai_action(credentials) if declares_ai else _capture(credentials)
    claimed = "" if credentials is None else credentials.generator
    if action is not None and (action.software or claimed):
        return action.software or claimed
    if not declares_ai:
        return claimed
    maker = next((tag.maker for tag in tags if tag.meaning.is_ai and tag.maker), "")
    named = {tag.name.lower(): tag.value for tag in reversed(tags)}
    return maker or next((named[name] for name in _PROGRAMS if name in named), "")


def _camera(tags: Iterable[Tag]) -> str:
    """Make and model, where neither is a program's."""
    named = {tag.name.lower(): tag.value for tag in tags if not tag.meaning.is_ai}
    make = next((named[name] for name in _MAKES if name in named), "")
    model = next((named[name] for name in _MODELS if name in named), "")
    return shortened(model if model.lower().startswith(make.lower()) else f"{make} {model}")
