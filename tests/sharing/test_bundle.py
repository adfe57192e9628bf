import copy
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from tests.sharing.planted import KEY_ID, NOW, everything, indicators, planted

from stillwatch.campaigns.hypotheses import hypotheses
from stillwatch.errors import SharingError
from stillwatch.records import ACTIONS, CAPABILITIES, DURABILITIES, INTENTS
from stillwatch.records import KINDS as TRAIT_KINDS
from stillwatch.schemas import schema
from stillwatch.sharing import bundle, bundle_text
from stillwatch.sharing.indicators import LIFETIME_DAYS
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID, EXTENSION_VERSION, extension_schema
from stillwatch.sharing.traits import CONTENT_KINDS, KINDS
from stillwatch.sharing.versions import STANDING_TYPES
from stillwatch.sharing.words import (
    CASE_STEPS,
    COUNTERMEASURES,
    ESTIMATE_SCALE,
    ESTIMATES,
    HYPOTHESES,
    OUTCOMES,
    OUTCOMES_OF_TESTS,
    STANDINGS,
    TECHNIQUES,
)

GOLDEN = Path(__file__).parent.parent / "golden"
Campaigns = list[dict[str, Any]]


def objects(text: str, kind: str | None = None) -> list[dict[str, Any]]:
    found = json.loads(text)["objects"]
    return [one for one in found if kind in (None, one["type"])]


def measures(one: dict[str, Any]) -> dict[str, Any]:
    return one["extensions"][EXTENSION_ID]


def test_the_samples_conform_to_the_published_schema(campaigns: Campaigns) -> None:
    Draft202012Validator(schema("campaigns"), format_checker=FormatChecker()).validate(campaigns)


@pytest.mark.parametrize("tlp", ["clear", "green", "amber"])
def test_the_bundle_is_the_one_reviewed_by_eye(advised: Campaigns, tlp: str) -> None:
    # When the bundle is meant to change, write its new text to the golden file and read the difference.
    golden = GOLDEN / f"bundle_{tlp}.json"
    assert bundle_text(everything(advised, tlp)) == golden.read_text(encoding="utf-8")


def test_the_bundle_of_a_scan_is_for_nobody_in_particular_and_holds_no_content(campaigns: Campaigns) -> None:
    for tlp in TLP_MARKINGS:
        kinds = {measures(one)["kind"] for one in objects(bundle(campaigns, now=NOW, tlp=tlp), "indicator")}
        assert not kinds & CONTENT_KINDS


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
        assert again == one or (again["created"], again["modified"]) > (one["created"], one["modified"])
        assert again.get("created") == one.get("created")


def test_objects_that_never_change_are_the_same_under_their_id_in_every_bundle(campaigns: Campaigns) -> None:
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for tlp in TLP_MARKINGS:
        for key_id in (None, KEY_ID):
            for one in objects(bundle(campaigns, now=NOW, tlp=tlp, key_id=key_id)):
                if one["type"] in STANDING_TYPES:
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
    kinds = {tlp: set(indicators(everything(campaigns, tlp))) for tlp in TLP_MARKINGS}
    assert kinds["clear"] == set()
    assert kinds["green"] == {"template", "wording", "item"}
    assert {"template", "wording", "item", "payment", "ip_prefix", "ja4", "system_prompt"} < kinds["amber"]
    assert kinds["amber"] == kinds["amber+strict"] == kinds["red"]


def test_atlas_techniques_follow_from_what_was_found(campaigns: Campaigns) -> None:
    def cited(one: dict[str, Any]) -> set[str]:
        found = objects(bundle([one], now=NOW), "attack-pattern")
        return {reference["external_id"] for pattern in found for reference in pattern["external_references"]}

    mixed = {"AML.T0021", "AML.T0040", "AML.T0024.002", "AML.CS0056", "AML.T0065", "AML.T0008.005", "AML.T0054"}
    assert cited(campaigns[0]) == mixed
    assert cited(campaigns[2]) == {"AML.T0021", "AML.T0040", "AML.T0008"}
    alone = copy.deepcopy(campaigns[0])
    alone["evidence"] = [trait for trait in alone["evidence"] if trait["family"] != "network"]
    assert cited(alone) == mixed - {"AML.T0008.005"}
    assert objects(bundle([alone], now=NOW), "infrastructure") == []
    stolen = {**alone, "compromised": [{"account_id": alone["account_ids"][0], "because": "two countries at once"}]}
    assert cited(stolen) == cited(alone) | {"AML.T0012"}
    refused = copy.deepcopy(alone)
    refused["extraction"]["sweep"]["winner"] = None
    assert cited(refused) == cited(alone) - {"AML.T0054"}


def test_the_steps_of_the_case_study_are_told_as_far_as_they_show(campaigns: Campaigns) -> None:
    first, second = (measures(one)["case_study"] for one in objects(bundle(campaigns, now=NOW), "campaign"))
    assert first == {
        "id": "AML.CS0056",
        "shown": ["AML.T0008.005", "AML.T0065", "AML.T0040", "AML.T0024.002"],
    }
    assert second["shown"] == ["AML.T0040"]


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
    assert (subject["first_seen"], subject["last_seen"]) == ("2026-02-02T03:00:00Z", "2026-02-22T23:00:00Z")


def test_lineage_is_told_between_campaigns_of_the_bundle_only(campaigns: Campaigns) -> None:
    def kin(text: str) -> list[dict[str, Any]]:
        return [one for one in objects(text, "relationship") if one["relationship_type"] == "related-to"]

    [tie] = kin(bundle(campaigns, now=NOW))
    assert {k: v for k, v in measures(tie).items() if k != "extension_type"} == {
        "relation": "displaced_from",
        "weight_bits": 19.4,
    }
    assert kin(bundle(campaigns[:1], now=NOW)) == []


def test_extensions_conform_to_the_schema_that_travels_with_them(every_object: Campaigns) -> None:
    definition = next(one for one in every_object if one["type"] == "extension-definition")
    assert definition["schema"] == extension_schema()
    shape = Draft202012Validator(json.loads(definition["schema"]))
    extended = [one for one in every_object if EXTENSION_ID in one.get("extensions", {})]
    assert {one["type"] for one in extended} == {"campaign", "indicator", "observed-data", "relationship", "sighting"}
    for one in extended:
        shape.validate(measures(one))


def test_the_version_of_the_extension_grows_with_its_schema() -> None:
    # A changed schema is a new version: write both down, and the day in EXTENSION_CHANGED.
    assert (EXTENSION_VERSION, hashlib.sha256(extension_schema().encode()).hexdigest()[:16]) == (
        "2.0.0",
        "37dea788cd24498b",
    )


def test_the_extension_speaks_the_vocabulary_of_the_records() -> None:
    properties = json.loads(extension_schema())["properties"]
    assert tuple(properties["capability_shares"]["propertyNames"]["enum"]) == CAPABILITIES
    assert tuple(properties["intent_shares"]["propertyNames"]["enum"]) == INTENTS
    assert tuple(properties["benign_hypotheses"]["items"]["properties"]["outcome"]["enum"]) == OUTCOMES_OF_TESTS
    assert properties["estimate"]["properties"]["words"]["enum"] == [words for words, _, _ in ESTIMATES]
    assert properties["estimate"]["properties"]["scale"]["const"] == ESTIMATE_SCALE
    assert tuple(properties["outcome"]["enum"]) == OUTCOMES
    assert tuple(properties["standing"]["enum"]) == STANDINGS
    assert tuple(properties["durability"]["enum"]) == DURABILITIES
    assert set(properties["case_study"]["properties"]["shown"]["items"]["enum"]) == set(CASE_STEPS) & set(TECHNIQUES)


def test_the_closed_lists_are_those_of_the_stages_that_make_the_words() -> None:
    assert [hypothesis.name for hypothesis in hypotheses()] == sorted(HYPOTHESES)
    assert set(COUNTERMEASURES) == set(ACTIONS) - {"observe"}
    assert set(LIFETIME_DAYS) == set(DURABILITIES)
    # What a partner said is not passed on as our own, and what stands in a slot is the customer's own words.
    assert set(TRAIT_KINDS) - KINDS == {"lead", "setting"}


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
