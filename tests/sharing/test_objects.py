"""What each object says of a campaign: sets, aliases, observations, feedback, countermeasures, notes, measures."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sharing.planted import ALIAS, CAMPAIGN, GROUP, KEY_ID, LATER, MATCHES, NOW, everything, lead, match, of

from stillwatch.errors import SharingError
from stillwatch.sharing import Practice, objects_of
from stillwatch.sharing.measures import estimate
from stillwatch.sharing.objects import measures, producer, stix_id

Campaigns = list[dict[str, Any]]


def made(campaigns: Campaigns, **options: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"now": NOW, "tlp": "amber", "key_id": KEY_ID} | options
    return objects_of(campaigns, **given)


def body(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in measures(one).items() if name != "extension_type"}


# Intrusion sets


def kin(campaign: dict[str, Any], campaign_id: str, *earlier: str) -> dict[str, Any]:
    told = [{"campaign_id": one, "relation": "displaced_from", "bits": None, "because": "canary"} for one in earlier]
    return {**campaign, "campaign_id": campaign_id, "lineage": told}


def test_campaigns_that_continue_one_another_are_attributed_to_one_set(campaigns: Campaigns) -> None:
    found = made(campaigns)
    [whole] = of(found, "intrusion-set")
    ties = of(found, "relationship", relationship_type="attributed-to")
    assert {tie["target_ref"] for tie in ties} == {whole["id"]}
    assert {tie["source_ref"] for tie in ties} == {one["id"] for one in of(found, "campaign")}
    assert (whole["first_seen"], whole["last_seen"]) == ("2026-01-28T01:00:00Z", "2026-02-22T23:00:00Z")
    assert whole["name"] == f"Intrusion set s-{whole['id'][-12:]}"
    assert "aliases" not in whole


def test_campaigns_without_lineage_are_sets_of_their_own(campaigns: Campaigns) -> None:
    alone = [kin(campaigns[0], "c-00000000000a"), kin(campaigns[0], "c-00000000000b")]
    assert len(of(made(alone), "intrusion-set")) == 2


def test_a_set_keeps_its_id_when_a_campaign_joins_and_when_the_first_is_forgotten(campaigns: Campaigns) -> None:
    first = kin(campaigns[0], "c-00000000000f")
    second = kin(campaigns[0], "c-00000000000e", "c-00000000000f")
    third = kin(campaigns[0], "c-00000000000d", "c-00000000000e")
    runs = ([first], [first, second], [third, second, first], [second, third])
    assert len({one["id"] for run in runs for one in of(made(run), "intrusion-set")}) == 1


def test_campaigns_that_name_each_other_in_a_ring_are_one_set(campaigns: Campaigns) -> None:
    ring = [
        kin(campaigns[0], "c-00000000000a", "c-00000000000b"),
        kin(campaigns[0], "c-00000000000b", "c-00000000000a"),
    ]
    assert [found["id"] for found in of(made(ring), "intrusion-set")] == [
        stix_id("intrusion-set", producer(KEY_ID)["id"], "c-00000000000a")
    ]


# Aliases


def test_an_alias_is_told_with_its_author_and_grounds(campaigns: Campaigns) -> None:
    found = made(campaigns, aliases=[ALIAS])
    [whole] = of(found, "intrusion-set")
    [note] = [one for one in of(found, "note") if "authors" in one]
    assert whole["aliases"] == ["Amber Heron"]
    assert (note["object_refs"], note["authors"]) == ([whole["id"]], ["analyst-7"])
    assert note["content"] == "A person gave the alias, not the software. A published report uses the name."
    assert note["created"] == "2026-02-23T17:00:00.000Z"


def test_an_alias_of_a_campaign_that_stays_stays_too(campaigns: Campaigns) -> None:
    stays = replace(ALIAS, campaign_id=campaigns[1]["campaign_id"])
    assert not [one for one in made(campaigns, aliases=[stays]) if "aliases" in one or "authors" in one]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "write the letter to Ms Canary"},
        {"name": "Canary\nHeron"},
        {"name": "canary.person@example.org"},
        {"name": "Canary 4111111111111111"},
        {"author_id": "canary.person@example.org"},
        {"author_id": "Canary Person"},
        {"grounds": "Ms Canary told me"},
    ],
)
def test_an_alias_of_another_shape_is_refused_without_quoting_it(campaigns: Campaigns, changed: dict[str, Any]) -> None:
    with pytest.raises(SharingError, match="alias: ") as caught:
        made(campaigns, aliases=[replace(ALIAS, **changed)])
    assert "canary" not in str(caught.value).lower()


# Observations


def test_a_campaign_is_sighted_with_counts_alone(campaigns: Campaigns) -> None:
    found = made(campaigns[:1])
    [subject], [observed], [seen] = (of(found, kind) for kind in ("campaign", "observed-data", "sighting"))
    [account] = of(found, "user-account")
    assert account.keys() == {"type", "spec_version", "id", "object_marking_refs", "account_type"}
    assert (observed["number_observed"], observed["object_refs"]) == (42_000, [account["id"]])
    assert (seen["count"], seen["sighting_of_ref"]) == (42_000, subject["id"])
    assert seen["observed_data_refs"] == [observed["id"]]
    assert body(seen) == body(observed) == {"account_count": 64}


def test_counts_stop_where_stix_does(campaigns: Campaigns) -> None:
    huge = copy.deepcopy(campaigns[0])
    huge["exposure"]["exchanges"] = 7_000_000_000
    found = made([huge])
    assert of(found, "observed-data")[0]["number_observed"] == of(found, "sighting")[0]["count"] == 990_000_000
    assert measures(of(found, "campaign")[0])["exchange_count"] == 7_000_000_000


def test_every_indicator_rests_on_what_was_observed(campaigns: Campaigns) -> None:
    found = everything(campaigns, "red")
    based = {one["source_ref"] for one in of(found, "relationship", relationship_type="based-on")}
    assert based == {one["id"] for one in of(found, "indicator")}


# Feedback


def test_what_became_of_a_partners_indicator_is_told_in_counts(campaigns: Campaigns) -> None:
    found = made([], matches=MATCHES)
    told = {one["sighting_of_ref"]: (one.get("count"), body(one)) for one in of(found, "sighting")}
    assert told == {
        lead(1): (1_200, {"outcome": "hit", "account_count": 37}),
        lead(2): (60_000, {"outcome": "wrong", "account_count": 180}),
        lead(3): (None, {"outcome": "open"}),  # two accounts are too few to count
        lead(4): (0, {"outcome": "miss"}),
    }
    [opinion] = of(found, "opinion")
    assert (opinion["object_refs"], opinion["opinion"]) == ([lead(2)], "strongly-disagree")
    assert CAMPAIGN not in str(found)


def test_a_lead_that_meets_several_campaigns_is_told_of_once() -> None:
    rows = [match(1, "explained", 30, 10), match(1, "coordinated", 4, 7), match(1, None, 3, 2)]
    [seen] = of(made([], matches=rows), "sighting")
    assert (seen["count"], body(seen)) == (19, {"outcome": "hit", "account_count": 37})
    assert of(made([], matches=rows), "opinion") == []


def test_feedback_again_is_a_newer_version_of_the_same_sighting() -> None:
    first, again = (
        of(made([], matches=[match(1, verdict, 9, 9)], now=now), "sighting")[0]
        for verdict, now in ((None, NOW), ("distillation", LATER))
    )
    assert first["id"] == again["id"]
    assert first["modified"] < again["modified"]


@pytest.mark.parametrize(
    "changed",
    [
        {"lead_id": "canary.person@example.org"},
        {"lead_id": "campaign--00000001-1111-4111-8111-111111111111"},
        {"first_seen_at": "canary"},
        {"last_seen_at": None},
    ],
)
def test_a_row_that_names_no_indicator_or_no_time_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SharingError, match="lead_matches: ") as caught:
        made([], matches=[match(1, None, 9, 9) | changed])
    assert "canary" not in str(caught.value)


def test_times_of_matches_may_be_text_and_leave_as_whole_hours() -> None:
    row = match(1, None, 9, 9, first_seen_at="2026-02-20T03:41:07+01:00", last_seen_at="2026-02-21T07:59:00")
    [seen] = of(made([], matches=[row]), "sighting")
    assert (seen["first_seen"], seen["last_seen"]) == ("2026-02-20T02:00:00Z", "2026-02-21T07:00:00Z")


# Countermeasures


def test_what_was_recommended_and_what_was_done_are_told_apart(advised: Campaigns) -> None:
    found = made(advised, practice=Practice(taken={CAMPAIGN: ["throttle", "verify"]}))
    names = {one["id"]: one["name"] for one in of(found, "course-of-action")}
    standing = {
        names[tie["source_ref"]]: body(tie)["standing"]
        for tie in of(found, "relationship", relationship_type="related-to")
        if tie["source_ref"] in names
    }
    assert standing == {
        "Verify accounts": "taken",
        "Throttle accounts": "taken",
        "Suspend accounts": "recommended",
    }


def test_a_countermeasure_mitigates_techniques_that_the_campaign_shows(advised: Campaigns) -> None:
    found = made(advised)
    techniques = {one["id"]: one["external_references"][0]["external_id"] for one in of(found, "attack-pattern")}
    names = {one["id"]: one["name"] for one in of(found, "course-of-action")}
    told = {
        (names[tie["source_ref"]], techniques[tie["target_ref"]])
        for tie in of(found, "relationship", relationship_type="mitigates")
    }
    assert told == {
        ("Throttle accounts", "AML.T0024.002"),
        ("Throttle accounts", "AML.T0040"),
        ("Suspend accounts", "AML.T0021"),
        ("Suspend accounts", "AML.T0040"),
    }


def test_a_countermeasure_that_is_no_step_of_the_ladder_is_refused(advised: Campaigns) -> None:
    with pytest.raises(SharingError, match="countermeasures are verify, throttle, shape, suspend"):
        made(advised, practice=Practice(taken={CAMPAIGN: ["canary"]}))


# Notes and measures


def test_the_note_says_what_else_it_could_have_been_and_how_likely_it_is(campaigns: Campaigns) -> None:
    first, second = sorted(of(made(campaigns), "note"), key=lambda one: str(one["content"]))[:2]
    assert first["content"] == (
        "Innocent explanations tested: class assignment (refuted); public harness (refuted); reseller (refuted); "
        "verified organisation (refuted). In words: almost certain (95 to 99 percent, ICD 203)."
    )
    assert second["content"] == (
        "Innocent explanations tested: multiple accounts (holds). In words: unlikely (20 to 45 percent, ICD 203)."
    )


def test_an_explanation_that_could_not_be_tested_is_not_called_refuted(campaigns: Campaigns) -> None:
    changed = copy.deepcopy(campaigns[:1])
    changed[0]["benign_hypotheses"] = [{**changed[0]["benign_hypotheses"][0], "tested": False}]
    assert measures(of(made(changed), "campaign")[0])["benign_hypotheses"] == [
        {"name": "public harness", "outcome": "not tested"}
    ]
    changed[0] |= {"benign_hypotheses": [], "probability": None}
    found = made(changed)
    assert of(found, "note")[0]["content"] == ("No innocent explanation was tested. Nothing calibrates a probability.")
    assert not {"benign_hypotheses", "estimate"} & measures(of(found, "campaign")[0]).keys()


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.0, "almost no chance"),
        (0.05, "very unlikely"),
        (0.3, "unlikely"),
        (0.5, "roughly even chance"),
        (0.55, "likely"),
        (0.8, "very likely"),
        (0.95, "almost certain"),
        (1.0, "almost certain"),
    ],
)
def test_a_probability_is_put_into_the_words_of_the_scale(probability: float, words: str) -> None:
    told = estimate(probability)
    assert told is not None
    assert (told["words"], told["scale"]) == (words, "ICD 203")


def test_a_campaign_tells_its_profile_evidence_and_the_grounds_of_its_confidence(campaigns: Campaigns) -> None:
    told = measures(of(made(campaigns[:1]), "campaign")[0])
    assert told["capability_shares"] == {"general": 0.06, "reasoning": 0.1, "agentic_coding": 0.62, "tool_use": 0.22}
    assert told["timing"]["peak_share"] == 0.13
    assert (len(told["timing"]["by_hour"]), told["timing"]["by_hour"][8]) == (24, 0.05)
    assert told["confidence_grounds"] == {
        "basis": "simulated",
        "prior": 0.0024,
        "coordination": "proven",
        "harvest": "proven",
    }
    assert told["evidence"][0] == {
        "kind": "artefact",
        "family": "artefact",
        "durability": "very high",
        "weight_bits": 14.2,
        "value_count": 1,
        "account_count": 9,
    }


def test_what_a_partner_said_is_told_as_such_and_never_passed_on(campaigns: Campaigns) -> None:
    said = {**campaigns[0]["evidence"][0], "kind": "lead", "family": "partner", "value": "a" * 32, "durability": "low"}
    found = made([{**campaigns[0], "evidence": [said], "templates": []}], group=GROUP, tlp="red")
    assert [one["kind"] for one in measures(of(found, "campaign")[0])["evidence"]] == ["lead"]
    assert {measures(one)["kind"] for one in of(found, "indicator")} == {"wording", "item"}
    assert "a" * 32 not in str(found)


def test_the_public_is_not_told_what_gave_a_campaign_away(campaigns: Campaigns) -> None:
    told = measures(of(made(campaigns[:1], tlp="clear"), "campaign")[0])
    assert not {"timing", "evidence"} & told.keys()
    assert "capability_shares" in told


def test_habits_of_fewer_accounts_than_k_stay(campaigns: Campaigns) -> None:
    few = {**campaigns[0], "account_ids": campaigns[0]["account_ids"][:4]}
    told = measures(of(made([few]), "campaign")[0])
    assert told["account_count"] == 4
    assert not {"timing", "evidence", "capability_shares", "intent_shares"} & told.keys()


def test_k_can_be_raised_and_never_lowered(campaigns: Campaigns) -> None:
    counts = [
        row["account_count"]
        for one in of(made(campaigns, practice=Practice(least_accounts=20)), "indicator")
        for row in measures(one)["values"]
    ]
    assert min(counts) == 22
    with pytest.raises(SharingError, match="least_accounts"):
        Practice(least_accounts=4)


def test_times_beyond_the_calendar_are_refused(campaigns: Campaigns) -> None:
    for changed in ({"last_seen_at": "9999-12-31T23:59:59Z"}, {"first_seen_at": "0001-01-01T00:00:00+14:00"}):
        with pytest.raises(SharingError):
            made([{**campaigns[0], **changed}])


def test_a_time_without_a_zone_is_in_utc(campaigns: Campaigns) -> None:
    bare = {**campaigns[0], "first_seen_at": "2026-02-02T03:12:00", "last_seen_at": "2026-02-22T22:51:00"}
    [subject] = of(made([bare], now=datetime(2026, 2, 24, 8, tzinfo=UTC)), "campaign")
    assert subject["first_seen"] == "2026-02-02T03:00:00Z"
