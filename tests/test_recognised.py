"""Campaigns of partners that are recognised: who bears them, what speaks for it, and what it would be if innocent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator
from scipy import stats
from tests import test_leads

from stillwatch import leads
from stillwatch.linkage.bearers import SHARED_SCHEMA
from stillwatch.recognised import Witness, recognised, sentence
from stillwatch.records import ACCOUNTS, LEAD_MATCHES, TRAITS, arrow_schema
from stillwatch.schemas.published import schema

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
THEIRS = "campaign--1"
EVERYBODY = [f"a{number:02}" for number in range(40)]
OLD = set(EVERYBODY[10:])  # all but the first ten signed up long ago


def witness(bearers: list[str], *, matched: int | None = None, **given: Any) -> Witness:
    """A detection in which these bear the lead, of forty customers; `matched` accounts have any exchange with it."""
    rows = [
        {
            "account_id": one,
            "kind": "lead",
            "value": THEIRS,
            "exchanges": 4,
            "first_seen_at": NOON,
            "last_seen_at": NOON,
        }
        for one in bearers
    ]
    other = {"account_id": "a30", "kind": "template", "value": THEIRS, "exchanges": 1}
    match = {
        "lead_id": "indicator--1",
        "sender": "identity--north",
        "campaign_id": None,
        "verdict": None,
        "accounts": len(bearers) if matched is None else matched,
        "exchanges": 9,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
    }
    accounts = [
        {
            "account_id": one,
            "created_at": NOON - timedelta(days=300 if one in OLD else 3),
            "verification_level": "identity" if one == "a20" else "email",
        }
        for one in EVERYBODY
    ]
    told = {
        "sent": leads.sent(test_leads.table({}), test_leads.KEYS, NOON),
        "traits": pa.Table.from_pylist([*rows, other], arrow_schema(TRAITS)),
        "matches": pa.Table.from_pylist([match], arrow_schema(LEAD_MATCHES)),
        "shared": SHARED_SCHEMA.empty_table(),
        "accounts": pa.Table.from_pylist(accounts, arrow_schema(ACCOUNTS)),
        "principals": dict(zip(EVERYBODY, EVERYBODY, strict=True)),
    }
    return Witness(**{**told, **given})


def found(bearers: list[str], campaigns: Any = (), cleared: Any = (), **given: Any) -> list[dict[str, Any]]:
    told = recognised(witness(bearers, **given), campaigns, cleared=cleared)
    Draft202012Validator(schema("recognised")).validate(told)
    return told


def campaign(verdict: str, accounts: list[str]) -> dict[str, Any]:
    return {"campaign_id": "c-0123456789ab", "verdict": verdict, "account_ids": accounts}


def test_five_accounts_make_a_partners_campaign_recognised_and_four_do_not() -> None:
    assert found(EVERYBODY[:4]) == []
    [one] = found(EVERYBODY[:5])
    assert (one["campaign_ref"], one["account_ids"], one["outside"]) == (THEIRS, EVERYBODY[:5], 5)
    assert (one["sender"], one["sender_verdict"], one["precision"]) == ("identity--north", "distillation", 0.5)
    assert (one["exchanges"], one["first_seen_at"]) == (20, NOON.isoformat())


def test_whom_an_analyst_cleared_bears_it_and_does_not_count() -> None:
    assert found(EVERYBODY[:5], cleared={"a00"}) == []
    [one] = found(EVERYBODY[:6], cleared={"a00", "a39"})
    assert (len(one["account_ids"]), one["cleared"]) == (6, 1)


def test_a_verified_organisation_is_counted_and_never_named() -> None:
    principals = {**dict(zip(EVERYBODY, EVERYBODY, strict=True)), "a38": "organisation o", "a39": "organisation o"}
    [one] = found([*EVERYBODY[:5], "organisation o"], principals=principals, matched=9)
    assert one["account_ids"] == EVERYBODY[:5]
    assert one["if_public"]["organisations"] == 1
    assert one["if_public"]["passers_by"] == 2  # of nine, five bear it steadily, and the two of the organisation


def test_how_new_the_accounts_are_is_set_against_all_customers() -> None:
    [one] = found(EVERYBODY[:8], matched=11)
    told = one["if_public"]
    assert told["newer_p_value"] == pytest.approx(stats.hypergeom.sf(7, 40, 10, 8))
    assert (told["known"], told["long_standing"], told["long_standing_expected"]) == (8, 0, 6.0)
    assert (told["verified"], told["verified_expected"], told["passers_by"]) == (0, 0.2, 3)
    assert one["support"] == "supported"
    assert "newer than customers are" in one["because"]
    assert "3 other accounts use the wordings in passing" in one["innocent"]


def test_customers_of_old_who_share_nothing_leave_the_partners_word_alone() -> None:
    [one] = found(EVERYBODY[20:30])
    assert one["support"] == "unsupported"
    assert "nothing but the partner's word" in one["because"]
    unknown = pa.Table.from_pylist([], arrow_schema(ACCOUNTS))
    [one] = found(EVERYBODY[:8], accounts=unknown)
    assert (one["support"], one["if_public"]["newer_p_value"]) == ("unsupported", None)
    assert "is not known" in one["innocent"]


def test_what_they_share_here_supports_it() -> None:
    row = {"lead": THEIRS, "group": "payment", "linked": 4, "expected": 0.25, "principals": 10, "p_value": 1e-6}
    others = {**row, "lead": "campaign--2", "group": "device"}
    [one] = found(EVERYBODY[20:30], shared=pa.Table.from_pylist([row, others], SHARED_SCHEMA))
    assert (one["support"], [group["group"] for group in one["shared"]]) == ("supported", ["payment"])
    assert "4 of them share a payment trait, where chance puts 0.2" in one["because"]


@pytest.mark.parametrize(
    ("verdict", "members", "support"),
    [
        ("coordinated", EVERYBODY[20:25], "confirmed"),
        ("distillation", EVERYBODY[20:24], "unsupported"),
        ("explained", EVERYBODY[20:26], "contradicted"),
        ("explained", EVERYBODY[20:25], "unsupported"),
    ],
)
def test_our_own_verdicts_confirm_or_contradict_it(verdict: str, members: list[str], support: str) -> None:
    [one] = found(EVERYBODY[20:30], [campaign(verdict, [*members, "stranger"]), campaign("coordinated", ["b"])])
    assert one["support"] == support
    assert one["in_campaigns"] == [{"campaign_id": "c-0123456789ab", "verdict": verdict, "accounts": len(members)}]
    assert one["outside"] == 10 - len(members)


def test_the_sentence_says_first_that_it_is_a_lead_and_no_verdict() -> None:
    [one] = found(EVERYBODY[:8])
    assert "8 accounts bear the wordings of campaign--1" in sentence(one)
    assert "a lead and no verdict" in sentence(one)
    assert sentence(one).endswith(one["because"])


def test_without_leads_nothing_is_recognised() -> None:
    assert found(EVERYBODY, sent=leads.NOTHING_SENT) == []
