"""The panel on what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from vidscan.records import ContentCredentials, CredentialsState, Meaning, Provenance
from vidscan.report.content.facts import Fact
from vidscan.report.declaration import action_words, credentials_words, ingredient_words, signer_words


def declared_facts(provenance: Provenance) -> Iterator[Fact]:
    """Yields all that a file says: credentials with actions and ingredients, then its entries."""
    if provenance.note:
        yield Fact("Note", f"It {provenance.note}.")
    if provenance.generator:
        yield Fact("Made with", provenance.generator)
    if provenance.camera:
        yield Fact("Camera", provenance.camera)
    if provenance.content_credentials is not None:
        yield from _credentials(provenance.content_credentials)
    for tag in provenance.tags:
        known = f", as {tag.maker} writes it" if tag.maker else ""
        meaning = (
            "" if tag.meaning is Meaning.NOTHING else f" – {tag.meaning.value}{' by AI' * tag.meaning.is_ai}"
        )
        yield Fact(f"{tag.where} {tag.name}", f"{tag.value}{meaning}{known}")


def _credentials(credentials: ContentCredentials) -> Iterator[Fact]:
    yield Fact("Credentials", f"{credentials_words(credentials)}.")
    if credentials.state is CredentialsState.INVALID and credentials.signer:
        yield Fact("Signature", signer_words(credentials))
    for failed in credentials.failed:
        yield Fact("Failed check", f"{failed.text} ({failed.code})")
    if credentials.generator:
        yield Fact("Claimed by", credentials.generator)
    if credentials.signed_at:
        yield Fact("Time stamp", credentials.signed_at)
    for action in credentials.actions:
        yield Fact("Action", action_words(action))
    for ingredient in credentials.ingredients:
        yield Fact("Ingredient", ingredient_words(ingredient))
    if credentials.inherited is not None:
        yield Fact("In an ingredient", action_words(credentials.inherited))
    if credentials.left_out:
        yield Fact("Not listed", f"{credentials.left_out:,} more actions or ingredients")
    if credentials.url:
        yield Fact("Further credentials", f"{credentials.url} (not fetched)")
