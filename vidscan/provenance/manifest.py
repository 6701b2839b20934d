"""What c2pa says of a manifest store, brought into the form of a report. Pure, and takes any JSON value.

The store is c2pa's own JSON (``Reader.json()`` of c2pa-python). A hostile file may put anything into it, so
nothing is taken for granted: what is not of the expected type counts as left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vidscan.provenance.marks import meaning_of, source_type, table
from vidscan.records import Action, ContentCredentials, CredentialsState, FailedCheck, Ingredient
from vidscan.records.provenance import shortened

MAX_LISTED = 32
"""Upper limit on the actions, and on the ingredients, that are listed."""

MAX_FAILED = 8
MAX_MANIFESTS = 1000
"""Upper limit on the manifests of ingredients, and of theirs, in which a statement on AI is looked for."""

_UNTRUSTED = "signingCredential.untrusted"


def credentials_of(store: Any) -> ContentCredentials:
    """The credentials of the file itself, with its ingredients one level deep."""
    active = _active(store)
    actions, ingredients = list(_actions(active)), _records(active.get("ingredients"))
    signature = _record(active.get("signature_info"))
    state = store.get("validation_state") if isinstance(store, dict) else None
    failed = tuple(_failed(store))
    return ContentCredentials(
        CredentialsState.VALID if state in ("Valid", "Trusted") else CredentialsState.INVALID,
        failed=failed[:MAX_FAILED],
        signer=_text(signature.get("issuer")) or _text(signature.get("common_name")),
        signer_trusted=state == "Trusted",
        generator=_generator(active),
        signed_at=_text(signature.get("time")),
        actions=tuple(_listed(actions)),
        ingredients=tuple(_ingredient(each, store) for each in ingredients[:MAX_LISTED]),
        left_out=max(0, len(actions) - MAX_LISTED) + max(0, len(ingredients) - MAX_LISTED),
        inherited=_inherited(store, active),
    )


def _active(store: Any) -> Mapping[str, Any]:
    whole = _record(store)
    return _manifest(whole, whole.get("active_manifest"))


def _manifest(store: Any, label: Any) -> Mapping[str, Any]:
    return _record(_record(_record(store).get("manifests")).get(label)) if isinstance(label, str) else {}


def _actions(manifest: Mapping[str, Any]) -> Iterator[Action]:
    for assertion in _records(manifest.get("assertions")):
        label = assertion.get("label")
        if isinstance(label, str) and label.startswith("c2pa.actions"):
            for action in _records(_record(assertion.get("data")).get("actions")):
                kind = source_type(_text(action.get("digitalSourceType")))
                yield Action(
                    _text(action.get("action")),
                    source_type=kind,
                    software=_software(action.get("softwareAgent")),
                    when=_text(action.get("when")),
                    meaning=meaning_of(kind),
                )


def _listed(actions: Sequence[Action]) -> Sequence[Action]:
    """The first actions, and in the place of the last of them one that speaks of AI, if none of them does."""
    first, rest = actions[:MAX_LISTED], actions[MAX_LISTED:]
    speaking = next((each for each in rest if each.meaning.is_ai), None)
    if speaking is None or any(each.meaning.is_ai for each in first):
        return first
    return [*first[:-1], speaking]


def _failed(store: Any) -> Iterator[FailedCheck]:
    """The failed checks of the file's own manifest, then of its ingredients', each code once."""
    results = _record(_record(store).get("validation_results"))
    own = _records(_record(results.get("activeManifest")).get("failure"))
    below = [
        failure
        for delta in _records(results.get("ingredientDeltas"))
        for failure in _records(_record(delta.get("validationDeltas")).get("failure"))
    ]
    codes = dict.fromkeys(_text(each.get("code")) for each in (*own, *below))
    for code in codes:
        if code and code != _UNTRUSTED:
            yield FailedCheck(code, table().checks.get(code, code))


def _generator(manifest: Mapping[str, Any]) -> str:
    """The program that made the claim, by its record or, in old claims, by one text."""
    named = [_software(each) for each in _records(manifest.get("claim_generator_info"))]
    return next((name for name in named if name), "") or _text(manifest.get("claim_generator"))


def _software(agent: Any) -> str:
    """A program's name and version; old claims give one text."""
    if isinstance(agent, str):
        return shortened(agent)
    told = _record(agent)
    return shortened(f"{_text(told.get('name'))} {_text(told.get('version'))}")


def _ingredient(ingredient: Mapping[str, Any], store: Any) -> Ingredient:
    return Ingredient(
        _text(ingredient.get("title")),
        relation=_text(ingredient.get("relationship")),
        format=_text(ingredient.get("format")),
        generator=_generator(_manifest(store, ingredient.get("active_manifest"))),
    )


def _inherited(store: Any, active: Mapping[str, Any]) -> Action | None:
    """The first action among the ingredients', and theirs, that speaks of AI; they became part of the file.

    What was merely put into a generator (``inputTo``) did not.
    """
    waiting, seen = [active], set[str]()
    while waiting and len(seen) < MAX_MANIFESTS:
        manifest = waiting.pop(0)
        for ingredient in _records(manifest.get("ingredients")):
            label = ingredient.get("active_manifest")
            if not isinstance(label, str) or label in seen or ingredient.get("relationship") == "inputTo":
                continue
            seen.add(label)
            below = _manifest(store, label)
            for action in _actions(below):
                if action.meaning.is_ai:
                    return replace(action, software=action.software or _generator(below))
            waiting.append(below)
    return None


def _record(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _records(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return shortened(value) if isinstance(value, str) else ""
