import copy
import hashlib
import json
from dataclasses import replace

import pytest
from tests.sharing.outgoing import (
    FRIEND,
    GROUP,
    LATER,
    NOW,
    STRANGER,
    Campaigns,
    kinds,
    let_go,
    measures,
    of_type,
    references_resolve,
    through,
    would,
)

from stillwatch import sharing
from stillwatch.errors import SharingError
from stillwatch.sharing.gate import Private, considered, released, revocations
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID, pattern
from stillwatch.sharing.recipients import AUDIENCES, Limits, Recipient
from stillwatch.sharing.traits import CONTENT_KINDS

# Who may see what, written out: by who reads it there, the markings that may reach them when everything was agreed.
MAY_SEE = {
    "public": {"clear"},
    "community": {"clear", "green"},
    "clients": {"clear", "green", "amber"},
    "organisation": {"clear", "green", "amber", "amber+strict"},
    "named": {"clear", "green", "amber", "amber+strict", "red"},
}
UP_TO = {tlp: set(list(TLP_MARKINGS)[: place + 1]) for place, tlp in enumerate(TLP_MARKINGS)}


@pytest.fixture
def campaigns(campaigns: Campaigns) -> Campaigns:
    """The samples with one trait of each family, for every object costs time."""
    return [{**one, "evidence": list({row["family"]: row for row in one["evidence"]}.values())} for one in campaigns]


def test_the_table_of_readers_is_whole() -> None:
    assert set(MAY_SEE) == set(AUDIENCES)
    assert MAY_SEE["named"] == set(TLP_MARKINGS) == UP_TO["red"]


@pytest.mark.parametrize("audience", MAY_SEE)
@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_a_marking_reaches_a_recipient_when_its_clearance_and_its_readers_both_allow(
    campaigns: Campaigns, audience: str, tlp: str
) -> None:
    bare = [{**campaigns[2], "evidence": [], "templates": []}]
    objects = sharing.objects_of(bare, now=NOW, tlp=tlp, key_id=None)
    for clearance in TLP_MARKINGS:
        passed = through(objects, Recipient("x", clearance, audience), bare)
        if tlp in MAY_SEE[audience] and tlp in UP_TO[clearance]:
            assert len(of_type(passed, "campaign")) == 1
            assert passed.marking == tlp
        else:
            assert passed.objects == ()
            assert {one.object_id for one in passed.withheld} == {
                one["id"] for one in objects if "object_marking_refs" in one
            }
            with pytest.raises(SharingError, match="Nothing may leave for x"):
                let_go(passed)


def test_an_object_without_a_marking_stays(campaigns: Campaigns) -> None:
    objects = sharing.objects_of(campaigns, now=NOW, tlp="amber", key_id=None)
    bare = [{k: v for k, v in one.items() if k != "object_marking_refs"} for one in objects]
    with pytest.raises(SharingError, match="object_marking_refs: it is missing"):
        through(bare, FRIEND, campaigns)


def test_keyed_values_reach_members_of_the_group_only(campaigns: Campaigns) -> None:
    assert {"wording", "item", "template"} <= kinds(would(campaigns, FRIEND))
    passed = would(campaigns, STRANGER)
    assert kinds(passed).isdisjoint(CONTENT_KINDS)
    assert "payment" in kinds(passed)
    assert GROUP.group_id not in passed.text
    assert any("no member of the sharing group g-frontier" in one.because for one in passed.withheld)
    assert references_resolve(passed)


def test_without_a_group_no_value_of_content_leaves_for_anybody(campaigns: Campaigns) -> None:
    assert kinds(would(campaigns, FRIEND, group=None)).isdisjoint(CONTENT_KINDS)


def test_a_value_leaves_at_k_holders_and_stays_at_one_fewer(campaigns: Campaigns) -> None:
    one = copy.deepcopy(campaigns[0])
    # Values of a sketch as the pipeline writes them, held by 4 to 12 accounts.
    one["sketch"] = {"items": [], "wordings": [{"value": str(10**17 + n), "account_count": n} for n in range(4, 13)]}
    for least in (5, 6, 9, 12):
        # Objects as a builder with the lowest k makes them: the gate does not trust it to have counted.
        passed = would([one], limits=Limits(least_holders=least))
        (indicator,) = [i for i in of_type(passed, "indicator") if measures(i)["kind"] == "wording"]
        counts = sorted(value["account_count"] for value in measures(indicator)["values"])
        assert counts == list(range(least, 13))
        told = [value["value"] for value in measures(indicator)["values"]]
        assert indicator["pattern"] == pattern("wording", told)
        taken = [w.values for w in passed.withheld if w.object_id == indicator["id"]]
        assert taken == ([] if least == 5 else [least - 5])


def test_an_indicator_whose_values_all_have_too_few_holders_stays_with_what_names_it(campaigns: Campaigns) -> None:
    passed = would(campaigns, limits=Limits(least_holders=62))
    assert len(of_type(passed, "campaign")) == 1
    assert kinds(passed) == set()
    assert references_resolve(passed)


def test_a_campaign_of_fewer_than_k_accounts_stays_with_everything_that_hangs_on_it(campaigns: Campaigns) -> None:
    small = copy.deepcopy(campaigns[2])  # the coordinated one
    small["account_ids"] = small["account_ids"][:7]
    both = [campaigns[0], small]
    assert len(of_type(would(both, limits=Limits(least_holders=7)), "campaign")) == 2
    passed = would(both, limits=Limits(least_holders=8))
    alone = would([campaigns[0]], limits=Limits(least_holders=8))
    assert small["campaign_id"] not in passed.text
    assert {one["id"] for one in passed.objects} == {one["id"] for one in alone.objects}
    assert references_resolve(passed)


def test_the_size_of_what_leaves_is_limited(campaigns: Campaigns) -> None:
    whole = would(campaigns)
    count, size = len(whole.objects), len(whole.text.encode())
    let_go(would(campaigns, limits=Limits(most_objects=count, most_bytes=size)))
    with pytest.raises(SharingError, match="most_objects"):
        let_go(would(campaigns, limits=Limits(most_objects=count - 1)))
    with pytest.raises(SharingError, match="most_bytes"):
        let_go(would(campaigns, limits=Limits(most_bytes=size - 1)))


def test_nobody_s_name_under_it_and_it_stays_where_the_limits_want_one(campaigns: Campaigns) -> None:
    passed = would(campaigns)
    for name in (None, "", "   ", "a\nb", "x" * 201):
        with pytest.raises(SharingError, match="approve"):
            released(passed, approver=name, proposer=None, now=NOW)
    free = replace(passed, limits=Limits(needs_approver=False))
    assert released(free, approver=None, proposer=None, now=NOW).record.approver is None


def test_two_people_are_two_people(campaigns: Campaigns) -> None:
    passed = would(campaigns, limits=Limits(two_people=True))
    for proposer in (None, "key:ann", "KEY:ANN"):
        with pytest.raises(SharingError, match="somebody else must"):
            released(passed, approver="key:ann", proposer=proposer, now=NOW)
    assert released(passed, approver="key:ann", proposer="key:bob", now=NOW).record.proposer == "key:bob"


def test_the_record_says_who_what_and_for_whom_and_nothing_of_the_contents(campaigns: Campaigns) -> None:
    done = let_go(would(campaigns))
    row = done.row()
    assert row["digest"] == hashlib.sha256(done.text.encode()).hexdigest()
    assert row["object_ids"] == [one["id"] for one in json.loads(done.text)["objects"]]
    assert (row["recipient"], row["marking"], row["approver"]) == ("northern-lab", "amber", "A. Analyst")
    assert row["object_count"] == len(row["object_ids"])
    told = json.dumps(row)
    for one in done.objects:
        for value in measures(one).get("values", ()):
            assert value["value"] not in told


def test_what_the_recipient_has_is_sent_again_byte_for_byte(campaigns: Campaigns) -> None:
    first = let_go(would(campaigns))
    again = would(campaigns, before=first.held_after({}), now=LATER)
    assert again.text == first.text
    assert again.differences.is_empty
    assert len(again.differences.unchanged) == len([o for o in first.objects if "object_marking_refs" in o])


def test_a_change_is_told_property_by_property_and_makes_a_newer_version(campaigns: Campaigns) -> None:
    held = let_go(would(campaigns)).held_after({})
    grown = copy.deepcopy(campaigns)
    grown[0]["last_seen_at"] = "2026-02-23T10:00:00Z"
    grown[0]["exposure"]["output_tokens"] = 99_000_000
    passed = would(grown, before=held, now=LATER)
    subject = next(one for one in of_type(passed, "campaign") if grown[0]["campaign_id"] in one["name"])
    told = {change.path: (change.before, change.after) for change in passed.differences.changed[subject["id"]]}
    assert told["last_seen"] == ("2026-02-22T23:00:00Z", "2026-02-23T11:00:00Z")
    assert told[f"extensions.{EXTENSION_ID}.output_tokens"] == (64_000_000, 99_000_000)
    assert "modified" not in told
    assert subject["modified"] > held[subject["id"]]["modified"]
    assert passed.differences.new == ()


def test_what_a_scan_no_longer_finds_is_told_and_not_taken_back_by_itself(campaigns: Campaigns) -> None:
    held = let_go(would(campaigns)).held_after({})
    passed = would(campaigns[:1], before=held, now=LATER)
    assert any(name.startswith("campaign--") for name in passed.differences.gone)
    assert passed.differences.revoked == ()
    undone = revocations(held, passed.differences.gone, because="expired", now=LATER)
    assert {one["id"] for one in undone if one.get("revoked")} == set(passed.differences.gone)


def test_taking_a_campaign_back_takes_what_hangs_on_it_and_leaves_the_rest(campaigns: Campaigns) -> None:
    whole = would(campaigns)
    held = let_go(whole).held_after({})
    subject = next(one for one in of_type(whole, "campaign") if campaigns[2]["campaign_id"] in one["name"])
    undone = revocations(held, [subject["id"]], because="innocent", now=LATER)
    passed = through(undone, FRIEND, campaigns, before=held)
    kept = {one["id"] for one in would(campaigns[:1]).objects}
    assert subject["id"] in passed.differences.revoked
    assert kept.isdisjoint(passed.differences.revoked)
    left = {**held, **{one["id"]: one for one in passed.objects}}
    standing = {name for name, one in left.items() if not one.get("revoked")}
    for name in standing:
        refs = [v for f, v in left[name].items() if f.endswith("_ref") and f != "created_by_ref"]
        assert standing.issuperset(refs) or left[name]["type"] == "note"
    assert not any(campaigns[2]["campaign_id"] in left[name].get("name", "") for name in standing)


def test_taking_back_is_allowed_whatever_the_recipient_may_see_by_now(campaigns: Campaigns) -> None:
    whole = would(campaigns)
    held = let_go(whole).held_after({})
    undone = revocations(held, [of_type(whole, "campaign")[0]["id"]], because="wrong", now=LATER)
    for recipient in (STRANGER, replace(FRIEND, clearance="clear")):
        passed = through(undone, recipient, campaigns, before=held, limits=Limits(least_holders=99))
        assert {one["id"] for one in undone if one.get("revoked")} == set(passed.differences.revoked)


def test_a_revocation_that_says_something_new_is_looked_at_like_anything_else(campaigns: Campaigns) -> None:
    whole = would(campaigns)
    held = let_go(whole).held_after({})
    undone = revocations(held, [of_type(whole, "campaign")[0]["id"]], because="wrong", now=LATER)
    sly = [{**one, "last_seen": "2026-02-23T11:00:00Z"} if one["type"] == "campaign" else one for one in undone]
    passed = through(sly, replace(FRIEND, clearance="clear"), campaigns, before=held)
    assert not of_type(passed, "campaign")


def test_what_was_revoked_is_never_sent_again(campaigns: Campaigns) -> None:
    whole = would(campaigns)
    held = let_go(whole).held_after({})
    subject = of_type(whole, "campaign")[0]
    undone = through(revocations(held, [subject["id"]], because="wrong", now=LATER), FRIEND, campaigns, before=held)
    held = let_go(undone, LATER).held_after(held)
    passed = would(campaigns, before=held, now=LATER)
    assert subject["id"] not in {one["id"] for one in passed.objects}
    assert any("revoked here" in one.because for one in passed.withheld if one.object_id == subject["id"])
    with pytest.raises(SharingError, match="was revoked before"):
        revocations(held, [subject["id"]], because="wrong", now=LATER)


def test_only_what_was_sent_can_be_taken_back(campaigns: Campaigns) -> None:
    held = let_go(would(campaigns)).held_after({})
    with pytest.raises(SharingError, match="was not sent"):
        revocations(held, ["campaign--00000000-0000-4000-8000-000000000000"], because="wrong", now=LATER)
    with pytest.raises(SharingError, match="one of the ids was not sent"):
        revocations(held, ["canary\x1b[2J"], because="wrong", now=LATER)
    technique = next(name for name in held if name.startswith("attack-pattern--"))
    with pytest.raises(SharingError, match="stands for itself"):
        revocations(held, [technique], because="wrong", now=LATER)


def test_objects_of_another_hand_pass_no_other_way(campaigns: Campaigns) -> None:
    objects = sharing.objects_of(campaigns, now=NOW, tlp="amber", key_id=None)
    strange = [*objects, {**objects[-1], "x_note": "canary"}]
    with pytest.raises(SharingError, match="this field does not leave") as caught:
        considered(strange, FRIEND, limits=Limits(), before={}, private=Private())
    assert "canary" not in str(caught.value)


def test_the_preview_as_json_is_json(campaigns: Campaigns) -> None:
    told = json.loads(json.dumps(would(campaigns, STRANGER).as_json()))
    assert told["recipient"] == "southern-lab"
    assert told["object_count"] > 0
    assert {"object_id", "object_type", "because", "values"} == set(told["withheld"][0])
    assert set(told) >= {"new", "changed", "revoked", "unchanged", "gone"}
