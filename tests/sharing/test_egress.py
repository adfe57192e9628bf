import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.errors import SharingError
from stillwatch.sharing import bundle, check_egress
from stillwatch.sharing.objects import EXTENSION_ID

Objects = dict[str, dict[str, Any]]


@pytest.fixture
def made(campaigns: list[dict[str, Any]]) -> Objects:
    """One object of every type that leaves."""
    text = bundle(campaigns, now=datetime(2026, 2, 24, tzinfo=UTC), tlp="red", key_id="0f3c9a1155aa77cc")
    return {one["type"]: one for one in json.loads(text)["objects"]}


def test_what_the_bundle_holds_may_leave(made: Objects) -> None:
    check_egress(list(made.values()))


@pytest.mark.parametrize(
    "field",
    ["skeleton", "prompt", "completion", "system_prompt", "account_ids", "client_ip", "user_agent", "x_note", "labels"],
)
@pytest.mark.parametrize("kind", ["campaign", "indicator", "infrastructure", "relationship", "identity"])
def test_a_field_that_is_not_listed_is_refused_on_every_object(made: Objects, kind: str, field: str) -> None:
    with pytest.raises(SharingError, match=f"{kind}: {field}: this field does not leave") as caught:
        check_egress([{**made[kind], field: "canary"}])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", ["observed-data", "user-account", "note", "ipv4-addr", "threat-actor"])
def test_an_object_of_another_type_is_refused(kind: str) -> None:
    with pytest.raises(SharingError, match="objects of this type do not leave"):
        check_egress([{"type": kind, "id": f"{kind}--1"}])


def test_no_text_field_takes_text_that_is_not_ours(made: Objects) -> None:
    tried = 0
    for one in made.values():
        for field, value in one.items():
            if isinstance(value, str) and field != "type":
                tried += 1
                with pytest.raises(SharingError) as caught:
                    check_egress([{**one, field: "canary words"}])
                assert "canary" not in str(caught.value)
    assert tried > 60


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("indicator", {"kind": "canary"}),
        ("indicator", {"values": [{"value": "203.0.113.7", "account_count": 9}]}),
        ("indicator", {"values": [{"value": "a" * 32, "account_count": 4}]}),
        ("indicator", {"key_id": "our own key"}),
        ("campaign", {"capability_shares": {"canary": 0.5}}),
        ("campaign", {"intent_shares": {"canary": 0.5}}),
        ("campaign", {"verdict": "explained"}),
        ("campaign", {"note": "canary"}),
    ],
)
def test_an_extension_outside_its_schema_is_refused(made: Objects, kind: str, change: dict[str, object]) -> None:
    changed = copy.deepcopy(made[kind])
    changed["extensions"][EXTENSION_ID] |= change
    with pytest.raises(SharingError, match=f"{kind}: extensions"):
        check_egress([changed])


def test_an_extension_we_do_not_know_is_refused(made: Objects) -> None:
    other = "extension-definition--00000000-0000-4000-8000-000000000000"
    with pytest.raises(SharingError, match="campaign: extensions"):
        check_egress([{**made["campaign"], "extensions": {other: {"extension_type": "property-extension"}}}])


def test_a_reference_to_anything_but_the_catalogue_is_refused(made: Objects) -> None:
    for reference in (
        {"source_name": "mitre-atlas", "external_id": "AML.T9999"},
        {"source_name": "mitre-atlas", "external_id": "AML.T0040", "description": "canary"},
        {"source_name": "canary", "external_id": "AML.T0040"},
    ):
        with pytest.raises(SharingError, match="external_references"):
            check_egress([{**made["attack-pattern"], "external_references": [reference]}])


def test_a_hash_that_equals_an_account_id_is_refused(made: Objects) -> None:
    value = made["indicator"]["extensions"][EXTENSION_ID]["values"][0]["value"]
    with pytest.raises(SharingError, match="equals an account id") as caught:
        check_egress([made["indicator"]], account_ids=["someone", value])
    assert value not in str(caught.value)


def test_the_name_of_a_strange_field_is_not_repeated(made: Objects) -> None:
    with pytest.raises(SharingError, match="campaign: a field: this field does not leave"):
        check_egress([{**made["campaign"], "canary@example.org": 1}])
