"""What stays known from run to run: members anew, former accounts for a while, dormant campaigns for ninety days."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator

from stillwatch import schemas
from stillwatch.campaigns import known
from stillwatch.campaigns.known import Known, Past, Span, known_campaign, known_json, remembered
from stillwatch.campaigns.marks import Marks, as_json

END = datetime(2026, 3, 30, tzinfo=UTC)


def span(days_ago_first: float, days_ago_last: float, exchanges: int = 10, *, is_member: bool = True) -> Span:
    return Span(
        exchanges, END - timedelta(days=days_ago_first), END - timedelta(days=days_ago_last), is_member=is_member
    )


def told(name: str, *accounts: str, **given: Any) -> dict[str, Any]:
    """A campaign of this run, with what `remembered` reads of it."""
    return {
        "campaign_id": name,
        "verdict": "distillation",
        "account_ids": list(accounts),
        "marks": as_json(Marks()),
        "lineage": [],
        "displacement": [],
        **given,
    }


def campaign(name: str, **accounts: Span) -> Known:
    return Known(name, "distillation", accounts, Marks())


def test_members_are_taken_anew_and_those_who_left_stay_as_former() -> None:
    before = campaign("c-1", a=span(30, 10), b=span(30, 10))
    of = Past([before], {"b": span(9, 1, 70), "c": span(5, 0, 80)}, END)
    [found] = remembered([told("c-1", "b", "c")], of)
    assert {name: (s.exchanges, s.is_member) for name, s in found.accounts.items()} == {
        "a": (10, False),
        "b": (70, True),
        "c": (80, True),
    }
    assert found.accounts["b"].first_seen_at == END - timedelta(days=30)


def test_a_former_account_that_is_still_active_has_not_stopped() -> None:
    of = Past([campaign("c-1", a=span(30, 10), b=span(30, 10))], {"a": span(9, 0), "b": span(9, 0)}, END)
    [found] = remembered([told("c-1", "b")], of)
    assert found.accounts["a"].last_seen_at == END
    assert not found.accounts["a"].is_member


def test_a_campaign_that_no_scan_finds_stays_known_for_ninety_days() -> None:
    before = [campaign("c-1", a=span(99, 89)), campaign("c-2", b=span(99, 91))]
    assert [found.campaign_id for found in remembered([], Past(before, {}, END))] == ["c-1"]


def test_accounts_are_forgotten_as_their_campaigns_are() -> None:
    before = campaign("c-1", old=span(200, 95, is_member=False), late=span(99, 5))
    [found] = remembered([], Past([before], {}, END))
    assert set(found.accounts) == {"late"}


def test_no_more_is_kept_than_the_bounds_say(monkeypatch: Any) -> None:
    monkeypatch.setattr(known, "MAX_KNOWN", 2)
    monkeypatch.setattr(known, "MAX_ACCOUNTS", 2)
    many = [campaign(f"c-{number}", a=span(50, number), b=span(50, 40, 99), c=span(50, 41, 98)) for number in range(4)]
    found = remembered([], Past(many, {}, END))
    assert [kept.campaign_id for kept in found] == ["c-0", "c-1"]
    assert all(set(kept.accounts) == {"b", "c"} for kept in found)


def test_remembering_twice_changes_nothing() -> None:
    of = Past([campaign("c-9", z=span(30, 20))], {"a": span(9, 0), "b": span(9, 3)}, END)
    once = remembered([told("c-1", "a", "b")], of)
    assert remembered([told("c-1", "a", "b")], Past(once, of.spans, END)) == once


def test_known_campaigns_survive_being_written_in_their_published_shape() -> None:
    kin = {"campaign_id": "c-000000000000", "relation": "displaced_from", "bits": 20.5, "because": "so"}
    found = [Known("c-0123456789ab", "explained", {"a": span(3, 1), "b": span(3, 2, is_member=False)}, Marks(), [kin])]
    rows = json.loads(json.dumps([known_json(one) for one in found]))
    Draft202012Validator(schemas.schema("known_campaigns")).validate(rows)
    assert [known_json(known_campaign(row)) for row in rows] == rows
    assert known_campaign(rows[0]).accounts == found[0].accounts
