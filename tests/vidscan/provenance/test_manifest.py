"""What c2pa says is untrusted JSON: whatever it holds, a report comes of it that fits its limits."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.provenance.manifest import MAX_LISTED, credentials_of
from vidscan.records import ContentCredentials, CredentialsState
from vidscan.system.typed_json import Form, from_plain, to_plain

KEYS = (
    *("active_manifest", "manifests", "a", "b", "assertions", "label", "data", "actions", "action"),
    *("digitalSourceType", "softwareAgent", "name", "version", "claim_generator_info", "claim_generator"),
    *("signature_info", "issuer", "time", "ingredients", "title", "relationship", "validation_state"),
    *("validation_results", "activeManifest", "failure", "code", "ingredientDeltas", "validationDeltas"),
)
WORDS = st.sampled_from(
    ["a", "b", "c2pa.actions", "c2pa.created", "trainedAlgorithmicMedia", "Valid", "\ud800"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)


def store(actions: list[Any], **more: Any) -> dict[str, Any]:
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}], **more}
    return {"active_manifest": "a", "manifests": {"a": manifest}, "validation_state": "Valid"}


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_any_json_gives_credentials_that_fit_a_report(said: Any) -> None:
    found = credentials_of(said)
    assert from_plain(ContentCredentials, to_plain(found), Form.WIRE) == found


def test_no_action_that_speaks_of_ai_is_crowded_out() -> None:
    generated = {"action": "c2pa.placed", "digitalSourceType": "http://x/trainedAlgorithmicMedia"}
    found = credentials_of(store([{"action": "c2pa.cropped"}] * 500 + [generated]))
    assert len(found.actions) == MAX_LISTED and found.left_out == 501 - MAX_LISTED
    assert found.actions[-1].meaning.is_ai
    assert not any(each.meaning.is_ai for each in credentials_of(store([{"action": "x"}] * 500)).actions)


def test_ingredients_that_name_each_other_come_to_an_end() -> None:
    said = store([], ingredients=[{"title": "itself", "relationship": "parentOf", "active_manifest": "a"}])
    assert credentials_of(said).inherited is None


def test_a_failed_check_is_told_once_and_trust_is_no_check() -> None:
    said = store([]) | {"validation_state": "Invalid"}
    codes = ("assertion.dataHash.mismatch", "signingCredential.untrusted", "some.new.code")
    said["validation_results"] = {"activeManifest": {"failure": [{"code": code} for code in codes * 2]}}
    found = credentials_of(said)
    assert found.state is CredentialsState.INVALID
    assert [each.text for each in found.failed] == ["content changed after signing", "some.new.code"]
