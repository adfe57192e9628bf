import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from stix2validator import ValidationOptions, validate_instance

from stillwatch.errors import SharingError
from stillwatch.records import CAPABILITIES, INTENTS
from stillwatch.schemas import schema
from stillwatch.sharing import bundle
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID, extension_schema

GOLDEN = Path(__file__).parent.parent / "golden"
NOW = datetime(2026, 2, 24, 8, 1, 12, tzinfo=UTC)
KEY_ID = "0f3c9a1155aa77cc"
Campaigns = list[dict[str, Any]]

# The only check of the validator that is switched off. 103 wants random (version 4) ids; the standard leaves the
# choice to the producer, and ids made from what an object is about are what keeps a campaign sent twice one campaign.
ACCEPTED_WARNINGS = ["103"]


def objects(text: str, kind: str | None = None) -> list[dict[str, Any]]:
    found = json.loads(text)["objects"]
    return [one for one in found if kind in (None, one["type"])]


def measures(one: dict[str, Any]) -> dict[str, Any]:
    return one["extensions"][EXTENSION_ID]


def test_the_samples_conform_to_the_published_schema(campaigns: Campaigns) -> None:
    Draft202012Validator(schema("campaigns"), format_checker=FormatChecker()).validate(campaigns)


@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_the_validator_passes_the_bundle_as_strictly_as_it_can(campaigns: Campaigns, tlp: str) -> None:
    options = ValidationOptions(
        version="2.1",
        strict=True,
        strict_types=True,
        strict_properties=True,
        enforce_refs=True,
        disabled=",".join(ACCEPTED_WARNINGS),
    )
    result = validate_instance(json.loads(bundle(campaigns, now=NOW, tlp=tlp, key_id=KEY_ID)), options)
    assert result.is_valid, [str(error) for one in result.object_results for error in one.errors]


def test_the_validator_would_find_a_fault(campaigns: Campaigns) -> None:
    broken = json.loads(bundle(campaigns, now=NOW))
    next(one for one in broken["objects"] if one["type"] == "indicator")["pattern"] = "[no pattern"
    assert not validate_instance(broken, ValidationOptions(version="2.1")).is_valid


@pytest.mark.parametrize("tlp", ["clear", "green", "amber"])
def test_the_bundle_is_the_one_reviewed_by_eye(campaigns: Campaigns, tlp: str) -> None:
    # When the bundle is meant to change, write its new text to the golden file and read the difference.
    golden = GOLDEN / f"bundle_{tlp}.json"
    assert bundle(campaigns, now=NOW, tlp=tlp, key_id=KEY_ID) == golden.read_text(encoding="utf-8")


def test_only_proven_common_control_leaves(campaigns: Campaigns) -> None:
    names = {one["name"] for one in objects(bundle(campaigns, now=NOW), "campaign")}
    assert names == {
        f"Distillation campaign {campaigns[0]['campaign_id']}",
        f"Coordinated campaign {campaigns[2]['campaign_id']}",
    }
    text = bundle(campaigns, now=NOW, tlp="red")
    for stays in (campaigns[1], campaigns[3]):
        assert stays["campaign_id"] not in text
        assert not any(trait["value"] in text for trait in stays["evidence"])


def test_nothing_to_share_is_a_bundle_with_producer_and_marking_only() -> None:
    assert [one["type"] for one in objects(bundle([], now=NOW))] == ["identity", "marking-definition"]


def test_the_order_of_campaigns_changes_nothing(campaigns: Campaigns) -> None:
    assert bundle(campaigns, now=NOW) == bundle(campaigns[::-1], now=NOW)


def test_sending_again_updates_and_never_doubles(campaigns: Campaigns) -> None:
    first = {one["id"]: one for one in objects(bundle(campaigns, now=NOW))}
    later = {one["id"]: one for one in objects(bundle(campaigns, now=datetime(2026, 3, 1, tzinfo=UTC)))}
    assert first.keys() == later.keys()
    for object_id, one in first.items():
        again = later[object_id]
        assert again["created"] == one["created"]
        assert again == one or again["modified"] > one["modified"]


def test_objects_that_never_change_are_the_same_under_their_id_in_every_bundle(campaigns: Campaigns) -> None:
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for tlp in TLP_MARKINGS:
        for key_id in (None, KEY_ID):
            for one in objects(bundle(campaigns, now=NOW, tlp=tlp, key_id=key_id)):
                if one.get("modified", one["created"]) < "2026-01-02" or one["type"] == "marking-definition":
                    assert seen.setdefault((one["id"], one["type"]), one) == one


def test_ids_are_unique_and_references_resolve(campaigns: Campaigns) -> None:
    found = objects(bundle(campaigns, now=NOW))
    ids = [one["id"] for one in found]
    assert len(ids) == len(set(ids))
    for one in found:
        for name, value in one.items():
            if name.endswith("_ref"):
                assert value in ids
            if name.endswith("_refs"):
                assert set(value) <= set(ids)


def test_two_deployments_with_one_campaign_id_stay_apart(campaigns: Campaigns) -> None:
    here = {one["id"] for one in objects(bundle(campaigns, now=NOW, key_id=KEY_ID), "campaign")}
    there = {one["id"] for one in objects(bundle(campaigns, now=NOW, key_id="aaaaaaaaaaaaaaaa"), "campaign")}
    assert not here & there


def test_the_marking_is_tlp_2_and_on_every_object_about_a_campaign(campaigns: Campaigns) -> None:
    text = bundle(campaigns, now=NOW, tlp="amber+strict")
    marking = objects(text, "marking-definition")[0]
    assert marking["name"] == "TLP:AMBER+STRICT"
    for kind in ("campaign", "indicator", "infrastructure", "relationship", "attack-pattern"):
        assert objects(text, kind)
        assert all(one["object_marking_refs"] == [marking["id"]] for one in objects(text, kind))


def test_an_unknown_marking_is_refused(campaigns: Campaigns) -> None:
    with pytest.raises(SharingError, match="TLP 'white' is not known"):
        bundle(campaigns, now=NOW, tlp="white")


def test_wider_markings_hold_fewer_values(campaigns: Campaigns) -> None:
    kinds = {
        tlp: {measures(one)["kind"] for one in objects(bundle(campaigns, now=NOW, tlp=tlp), "indicator")}
        for tlp in TLP_MARKINGS
    }
    assert kinds["clear"] == set()
    assert kinds["green"] == {"template"}
    assert {"template", "payment", "ip_prefix", "ja4"} < kinds["amber"]
    assert kinds["amber"] == kinds["amber+strict"] == kinds["red"]


def test_atlas_techniques_follow_from_what_was_found(campaigns: Campaigns) -> None:
    def cited(one: dict[str, Any]) -> set[str]:
        found = objects(bundle([one], now=NOW), "attack-pattern")
        return {reference["external_id"] for pattern in found for reference in pattern["external_references"]}

    mixed = {"AML.T0021", "AML.T0040", "AML.T0024.002", "AML.CS0056", "AML.T0065", "AML.T0008.005"}
    assert cited(campaigns[0]) == mixed
    assert cited(campaigns[2]) == {"AML.T0021", "AML.T0040", "AML.T0008"}
    alone = copy.deepcopy(campaigns[0])
    alone["evidence"] = [trait for trait in alone["evidence"] if trait["family"] != "network"]
    assert cited(alone) == mixed - {"AML.T0008.005"}
    assert objects(bundle([alone], now=NOW), "infrastructure") == []


def test_a_template_leaves_only_when_five_accounts_hold_it(campaigns: Campaigns) -> None:
    def templates(accounts: int) -> list[dict[str, Any]]:
        changed = copy.deepcopy(campaigns[0])
        changed["evidence"] = []
        changed["templates"] = [{**changed["templates"][0], "accounts": accounts}]
        return objects(bundle([changed], now=NOW, tlp="red"), "indicator")

    assert templates(4) == []
    assert [measures(one)["values"][0]["account_count"] for one in templates(5)] == [5]


def test_a_trait_leaves_only_when_five_accounts_hold_it(campaigns: Campaigns) -> None:
    changed = copy.deepcopy(campaigns[0])
    changed["templates"] = []
    changed["evidence"] = [{**changed["evidence"][0], "account_count": 4}]
    assert objects(bundle([changed], now=NOW, tlp="red"), "indicator") == []


def test_numbers_leave_with_two_significant_digits(campaigns: Campaigns) -> None:
    stated = measures(objects(bundle(campaigns[:1], now=NOW), "campaign")[0])
    assert (stated["exchange_count"], stated["output_tokens"], stated["account_count"]) == (42_000, 64_000_000, 64)


def test_times_leave_as_whole_hours(campaigns: Campaigns) -> None:
    subject = objects(bundle(campaigns[:1], now=NOW), "campaign")[0]
    assert (subject["first_seen"], subject["last_seen"]) == ("2026-02-02T03:00:00.000Z", "2026-02-22T23:00:00.000Z")


def test_lineage_is_told_between_campaigns_of_the_bundle_only(campaigns: Campaigns) -> None:
    def kin(text: str) -> list[dict[str, Any]]:
        return [one for one in objects(text, "relationship") if one["relationship_type"] == "related-to"]

    assert len(kin(bundle(campaigns, now=NOW))) == 1
    assert kin(bundle(campaigns[:1], now=NOW)) == []


def test_extensions_conform_to_the_schema_that_travels_with_them(campaigns: Campaigns) -> None:
    text = bundle(campaigns, now=NOW, tlp="red", key_id=KEY_ID)
    definition = objects(text, "extension-definition")[0]
    assert definition["schema"] == extension_schema()
    shape = Draft202012Validator(json.loads(definition["schema"]))
    extended = [one for one in objects(text) if one["type"] in ("campaign", "indicator")]
    assert extended
    for one in extended:
        shape.validate(measures(one))


def test_the_extension_speaks_the_vocabulary_of_the_records() -> None:
    properties = json.loads(extension_schema())["properties"]
    assert tuple(properties["capability_shares"]["propertyNames"]["enum"]) == CAPABILITIES
    assert tuple(properties["intent_shares"]["propertyNames"]["enum"]) == INTENTS


# Secrets of every kind we know how to leak. None has the shape of a hash: such a value may be one.
SECRETS = (
    "Write the quarterly letter to Ms Canary about the merger",
    "203.0.113.77",
    "2001:db8::77:1",
    "canary.person@example.org",
    "acct-canary-7731",
    "canary-works-gmbh",
    "4111111111111111",
    "+15550100777",
    "</svg><script>canary()</script>",
)


def text_places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Where text stands in the object, as values and as the keys of free-form tables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from text_places(inner, (*path, key))
        if path and path[-1] in ("by_model", "by_capability", "intents"):
            yield (*path, "*key*")
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from text_places(inner, (*path, index))
    elif isinstance(value, str):
        yield path


def planted(campaign: dict[str, Any], path: tuple[object, ...], secret: str) -> dict[str, Any]:
    changed: Any = copy.deepcopy(campaign)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[secret if path[-1] == "*key*" else path[-1]] = 1 if path[-1] == "*key*" else secret
    return changed


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_planted_anywhere_never_leaves(campaigns: Campaigns, secret: str) -> None:
    places = list(text_places(campaigns[0]))
    assert len(places) > 40
    markings = sorted(TLP_MARKINGS)
    refused = 0
    for index, path in enumerate(places):
        tlp = markings[(index + SECRETS.index(secret)) % len(markings)]  # over all secrets every place sees every one
        try:
            told = bundle([planted(campaigns[0], path, secret)], now=NOW, tlp=tlp, key_id=KEY_ID)
        except SharingError as error:
            refused += 1
            told = str(error)
        assert secret not in told
        assert json.dumps(secret)[1:-1] not in told
    assert refused < len(places)  # most places are simply never copied


def test_an_account_id_in_the_shape_of_a_hash_does_not_leave_as_a_trait(campaigns: Campaigns) -> None:
    changed = copy.deepcopy(campaigns[0])
    account_id = "9c56cc51b374c3ba189210d5b6d4bf57"
    changed["account_ids"].append(account_id)
    changed["evidence"].append({**changed["evidence"][5], "value": account_id})
    changed["templates"].append({**changed["templates"][0], "template_id": account_id})
    assert account_id not in bundle([changed], now=NOW, tlp="red")


def test_an_account_id_of_another_campaign_is_refused(campaigns: Campaigns) -> None:
    changed = copy.deepcopy(campaigns)
    account_id = "9c56cc51b374c3ba189210d5b6d4bf57"
    changed[1]["account_ids"].append(account_id)
    changed[0]["evidence"].append({**changed[0]["evidence"][5], "value": account_id})
    with pytest.raises(SharingError, match="equals an account id") as caught:
        bundle(changed, now=NOW, tlp="red")
    assert account_id not in str(caught.value)


@pytest.mark.parametrize("path", [("campaign_id",), ("first_seen_at",)])
def test_a_malformed_campaign_is_refused_without_quoting_it(campaigns: Campaigns, path: tuple[object, ...]) -> None:
    with pytest.raises(SharingError) as caught:
        bundle([planted(campaigns[0], path, "canary canary")], now=NOW)
    assert "canary" not in str(caught.value)
