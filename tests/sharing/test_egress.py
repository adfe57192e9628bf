import copy
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.sharing.planted import ALIAS, CAMPAIGN, GROUP, everything, indicators, of

from stillwatch.errors import SharingError
from stillwatch.sharing import check_egress
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID, pattern
from stillwatch.sharing.shapes import SHAPES, exported_objects_schema

Objects = dict[str, dict[str, Any]]


@pytest.fixture
def made(every_object: list[dict[str, Any]]) -> Objects:
    """One object of every type that leaves; the note is the campaign's, the indicator one of cards."""
    return {one["type"]: one for one in every_object if "authors" not in one} | {
        "indicator": indicators(every_object)["payment"]
    }


def test_what_the_builders_make_may_leave(every_object: list[dict[str, Any]]) -> None:
    check_egress(every_object, aliases=[ALIAS])


@pytest.mark.parametrize(
    "field",
    ["skeleton", "prompt", "completion", "system_prompt", "account_ids", "client_ip", "user_agent", "x_note", "labels"],
)
@pytest.mark.parametrize("kind", ["campaign", "indicator", "infrastructure", "relationship", "identity"])
def test_a_field_that_is_not_listed_is_refused_on_every_object(made: Objects, kind: str, field: str) -> None:
    with pytest.raises(SharingError, match=f"{kind}: {field}: this field does not leave") as caught:
        check_egress([{**made[kind], field: "canary"}])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["ipv4-addr", "threat-actor", "malware", "report", "x-prompt", "artifact", "file", "email-addr"]
)
def test_an_object_of_another_type_is_refused(kind: str) -> None:
    with pytest.raises(SharingError, match="objects of this type do not leave"):
        check_egress([{"type": kind, "id": f"{kind}--1"}])


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
        ("campaign", {"kind": "ip"}),
        ("campaign", {"account_count": 137}),
        ("campaign", {"template_share": 0.123}),
        ("campaign", {"coordination_bits": float("nan")}),
        ("campaign", {"coordination_bits": float("inf")}),
        ("campaign", {"benign_hypotheses": [{"name": "canary", "outcome": "refuted"}]}),
        ("campaign", {"timing": {"by_hour": [0.04] * 23}}),
        ("indicator", {"verdict": "distillation"}),
        ("sighting", {"outcome": "canary"}),
        ("relationship", {"standing": "canary"}),
    ],
)
def test_an_extension_outside_its_schema_is_refused(made: Objects, kind: str, change: dict[str, object]) -> None:
    changed = copy.deepcopy(made[kind])
    changed.setdefault("extensions", {}).setdefault(EXTENSION_ID, {}).update(change)
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


def values_of(indicator: dict[str, Any], *values: str, **changed: Any) -> dict[str, Any]:
    """The indicator with these values in its extension and its pattern, and with other properties."""
    one = copy.deepcopy(indicator)
    body = one["extensions"][EXTENSION_ID]
    body |= {"values": [{"value": value, "account_count": 9} for value in values], **changed}
    one["extensions"][EXTENSION_ID] = {name: value for name, value in body.items() if value is not None}
    one["pattern"] = pattern(body["kind"], values)
    one["name"] = f"Traits of campaign {CAMPAIGN}: {body['kind']}"
    return one


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("wording", {"group_id": None}),
        ("wording", {"epoch": None}),
        ("wording", {"group_id": None, "epoch": None, "key_id": "0f3c9a1155aa77cc"}),
        ("template", {"key_id": "0f3c9a1155aa77cc"}),
        ("system_prompt", {"group_id": "g-other"}),
        ("payment", {"group_id": "g-0123456789ab", "epoch": 3}),
        ("payment", {"sampled_from": 12}),
        ("payment", {"key_id": "4111111111111111"}),
        ("ja4", {"key_id": "0f3c9a1155aa77cc"}),
    ],
)
def test_values_leave_under_the_key_that_is_theirs_alone(
    every_object: list[dict[str, Any]], kind: str, changed: dict[str, object]
) -> None:
    found = indicators(every_object)[kind]
    own = [row["value"] for row in found["extensions"][EXTENSION_ID]["values"]]
    check_egress([values_of(found, *own)], groups=[GROUP.group_id])
    with pytest.raises(SharingError, match="indicator: extensions"):
        check_egress([values_of(found, *own, **changed)], groups=[GROUP.group_id])


@pytest.mark.parametrize("value", ["a" * 32, "t13d1516h2_8daaf6152771_b186095e22b6", "1234567890123456"])
def test_a_value_of_another_shape_is_not_taken_for_a_keyed_one(every_object: list[dict[str, Any]], value: str) -> None:
    with pytest.raises(SharingError, match="indicator: extensions"):
        check_egress([values_of(indicators(every_object)["wording"], value)])


def test_a_pattern_says_what_the_extension_says_and_nothing_more(made: Objects) -> None:
    other = pattern("payment", ["a" * 32])
    for changed in (other, f"{made['indicator']['pattern']} OR {other}", made["indicator"]["pattern"] + " "):
        with pytest.raises(SharingError, match="indicator: pattern"):
            check_egress([{**made["indicator"], "pattern": changed}])


@pytest.mark.parametrize(("tlp", "kind"), [("clear", "wording"), ("clear", "payment"), ("green", "payment")])
def test_values_do_not_leave_under_a_marking_that_is_too_wide(
    every_object: list[dict[str, Any]], tlp: str, kind: str
) -> None:
    with pytest.raises(SharingError, match="indicator: extensions"):
        check_egress([{**indicators(every_object)[kind], "object_marking_refs": [TLP_MARKINGS[tlp]]}])


def test_what_gave_a_campaign_away_is_not_told_to_the_public(made: Objects) -> None:
    with pytest.raises(SharingError, match="campaign: extensions"):
        check_egress([{**made["campaign"], "object_marking_refs": [TLP_MARKINGS["clear"]]}])


def test_a_larger_k_holds_for_every_value(made: Objects) -> None:
    check_egress([made["indicator"]], least=5)
    with pytest.raises(SharingError, match="indicator: extensions"):
        check_egress([made["indicator"]], least=50)


@pytest.mark.parametrize(
    ("source", "verb", "target"),
    [
        ("campaign", "uses", "campaign"),
        ("campaign", "attributed-to", "attack-pattern"),
        ("indicator", "indicates", "intrusion-set"),
        ("course-of-action", "mitigates", "campaign"),
    ],
)
def test_a_relationship_joins_only_what_belongs_together(made: Objects, source: str, verb: str, target: str) -> None:
    ends = {"source_ref": made[source]["id"], "relationship_type": verb, "target_ref": made[target]["id"]}
    with pytest.raises(SharingError, match="relationship: "):
        check_egress([{**made["relationship"], **ends}])


def test_an_alias_that_nobody_gave_is_refused(every_object: list[dict[str, Any]]) -> None:
    [named] = [one for one in of(every_object, "intrusion-set") if "aliases" in one]
    [signed] = [one for one in of(every_object, "note") if "authors" in one]
    check_egress([named, signed], aliases=[ALIAS])
    with pytest.raises(SharingError, match="intrusion-set: aliases"):
        check_egress([named])
    with pytest.raises(SharingError, match="note: authors"):
        check_egress([signed])
    for name in ("amber heron", "Amber heron@example.org", "Amber Heron 20260224", "A", "Write The Letter To Canary"):
        with pytest.raises(SharingError, match="intrusion-set: aliases") as caught:
            check_egress([{**named, "aliases": [name]}], aliases=[ALIAS])
        assert name not in str(caught.value)


def test_a_set_bears_the_name_its_id_gives_it(made: Objects) -> None:
    with pytest.raises(SharingError, match="intrusion-set: name"):
        check_egress([{**made["intrusion-set"], "name": "Intrusion set s-0123456789ab"}], aliases=[ALIAS])


def test_numbers_of_few_accounts_do_not_leave_with_a_sighting(every_object: list[dict[str, Any]]) -> None:
    few = next(one for one in of(every_object, "sighting") if "count" not in one)
    check_egress([few])
    with pytest.raises(SharingError, match="sighting: extensions"):
        check_egress([{**few, "count": 7}])


def test_an_account_id_that_is_a_uuid_does_not_leave_as_an_id(made: Objects) -> None:
    account_id = made["campaign"]["id"].removeprefix("campaign--")
    with pytest.raises(SharingError, match="equals an account id"):
        check_egress([made["campaign"]], account_ids=[account_id])


def test_an_account_that_is_called_by_one_of_our_words_stops_nothing(every_object: list[dict[str, Any]]) -> None:
    words = ["payment", "system", "general", "distillation", "2.1", "stillwatch deployment", "llm-api", "simulated"]
    check_egress(every_object, account_ids=words, aliases=[ALIAS])
    for name in ("Amber Heron", "analyst-7"):
        with pytest.raises(SharingError, match="equals an account id"):
            check_egress(every_object, account_ids=[name], aliases=[ALIAS])


@pytest.mark.parametrize("value", [1, False, "true", None])
def test_taken_back_is_true_or_not_said(made: Objects, value: object) -> None:
    check_egress([{**made["campaign"], "revoked": True}])
    with pytest.raises(SharingError, match="campaign: revoked"):
        check_egress([{**made["campaign"], "revoked": value}])


def test_a_fingerprint_without_a_key_is_refused_when_it_is_known(every_object: list[dict[str, Any]]) -> None:
    wording = indicators(every_object)["wording"]
    value = wording["extensions"][EXTENSION_ID]["values"][0]["value"]
    with pytest.raises(SharingError, match="fingerprint without a key") as caught:
        check_egress([wording], unkeyed=[value])
    assert value not in str(caught.value)


def test_what_is_no_object_is_refused() -> None:
    for other in ("campaign", ["campaign"], None, {}, {"type": ["campaign"]}, {"type": None}):
        with pytest.raises(SharingError, match="objects of this type do not leave"):
            check_egress([other])  # type: ignore[list-item]


def test_everything_that_leaves_conforms_to_the_published_schema(campaigns: list[dict[str, Any]]) -> None:
    validator = Draft202012Validator(exported_objects_schema())
    found = everything(campaigns, "red")
    assert {one["type"] for one in found} | {"course-of-action"} == set(SHAPES)
    for one in found:
        assert validator.is_valid(one), one["type"]
    assert not validator.is_valid({**found[4], "prompt": "canary"})
