"""Sent again, an object is a version of itself; taken back, it says so and why."""

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.sharing.planted import ALIAS, KEY_ID, LATER, NOW, of

from stillwatch.errors import SharingError
from stillwatch.sharing import check_egress, objects_of, renewed, revoked
from stillwatch.sharing.objects import stix_id
from stillwatch.sharing.versions import STANDING_TYPES
from stillwatch.sharing.words import REVOCATIONS

Objects = list[dict[str, Any]]


def again(campaigns: Objects, now: datetime = LATER) -> Objects:
    return objects_of(campaigns, now=now, tlp="amber", key_id=KEY_ID)


def by_id(objects: Objects) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in objects}


def test_what_says_the_same_keeps_its_version(campaigns: Objects) -> None:
    sent = again(campaigns, NOW)
    assert again(campaigns, LATER) != sent
    assert renewed(again(campaigns, LATER), sent) == sent


def test_what_was_not_sent_before_is_new(campaigns: Objects) -> None:
    sent = again(campaigns[2:], NOW)
    fresh = renewed(again(campaigns, LATER), sent)
    assert len(fresh) > len(sent)
    assert [one for one in fresh if one["id"] not in by_id(sent)] == [
        one for one in again(campaigns, LATER) if one["id"] not in by_id(sent)
    ]


def test_only_what_changed_gets_a_new_version(campaigns: Objects) -> None:
    sent = again(campaigns)
    changed = copy.deepcopy(campaigns)
    changed[0]["probability"] = 0.9
    fresh = by_id(renewed(again(changed), sent))
    differ = [one for one in sent if fresh[one["id"]] != one]
    assert sorted(one["type"] for one in differ) == ["campaign", "note"]
    for one in differ:
        assert fresh[one["id"]]["modified"] > one["modified"]
        assert fresh[one["id"]]["created"] == one["created"]


def test_the_day_an_object_was_made_stays_when_its_campaign_is_seen_earlier(campaigns: Objects) -> None:
    sent = again(campaigns)
    changed = copy.deepcopy(campaigns)
    changed[0]["first_seen_at"] = "2026-01-30T00:30:00Z"
    fresh = by_id(renewed(again(changed), sent))
    for one in sent:
        assert fresh[one["id"]].get("created") == one.get("created")


def test_taking_back_says_the_same_and_that_it_no_longer_holds(every_object: Objects) -> None:
    taken = revoked(every_object, now=LATER, because="innocent")
    check_egress(taken, aliases=[ALIAS])
    back = {one["id"]: one for one in taken if one.get("revoked")}
    for one in every_object:
        if one["type"] in STANDING_TYPES:
            assert one["id"] not in back
        else:
            assert back[one["id"]] == {**one, "modified": "2026-03-01T09:30:00.000Z", "revoked": True}
    [note] = [one for one in of(taken, "note") if not one.get("revoked")]
    assert note["content"] == "Taken back: an innocent explanation holds."
    assert set(note["object_refs"]) == back.keys()


def test_what_is_taken_back_is_noted_a_hundred_at_a_time(campaigns: Objects) -> None:
    [one] = of(again(campaigns[:1]), "campaign")
    many = [{**one, "id": stix_id("campaign", str(number))} for number in range(250)]
    notes = of(revoked(many, now=LATER, because="expired"), "note")
    assert [len(note["object_refs"]) for note in notes] == [100, 100, 50]
    assert {name for note in notes for name in note["object_refs"]} == {each["id"] for each in many}
    check_egress(notes)


@pytest.mark.parametrize("because", REVOCATIONS)
def test_every_reason_may_leave(campaigns: Objects, because: str) -> None:
    check_egress(revoked(again(campaigns), now=LATER, because=because))


def test_a_reason_of_ones_own_is_refused(campaigns: Objects) -> None:
    with pytest.raises(SharingError, match="because: say one of wrong, innocent") as caught:
        revoked(again(campaigns), now=LATER, because="Ms Canary complained")
    assert "Canary" not in str(caught.value)


def test_taking_back_twice_tells_nothing_new(campaigns: Objects) -> None:
    taken = [one for one in revoked(again(campaigns), now=LATER, because="wrong") if one.get("revoked")]
    assert revoked(taken, now=LATER + timedelta(days=1), because="wrong") == []


def test_what_was_taken_back_has_no_later_version(campaigns: Objects) -> None:
    sent = again(campaigns)
    taken = [one for one in revoked(sent, now=LATER, because="wrong") if one.get("revoked")]
    left = renewed(again(campaigns), taken)
    assert {one["type"] for one in left} <= STANDING_TYPES


def test_a_version_that_takes_back_is_newer_even_by_a_slow_clock(campaigns: Objects) -> None:
    sent = again(campaigns)
    for one in revoked(sent, now=NOW, because="wrong"):
        if one.get("revoked"):
            assert one["modified"] == "2026-03-01T09:30:00.001Z"
