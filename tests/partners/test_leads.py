"""Leads are what is in force, from senders that have been right often enough, and nothing else."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.partners.world import NOON, NORTH, SOUTH, VALUES, Object, campaign, indicates, indicator, lead, uid

from stillwatch import store
from stillwatch.partners import Inbox, leads, write_leads
from stillwatch.partners.leads import senders
from stillwatch.partners.outcomes import Borne, Match, Outcome, Record, matches, records, remember
from stillwatch.records import LEAD_MATCHES, LEADS, VERDICT_RECORDS, arrow_schema


def take(inbox: Inbox, objects: list[Object], name: str = "north", sender: str = NORTH) -> None:
    with inbox.opened(name, (sender,)) as box:
        box.take(objects, now=NOON)


def ids(inbox: Inbox, **more: Any) -> set[str]:
    return set(leads(inbox, NOON, **more).column("lead_id").to_pylist())


def test_a_lead_is_one_row_for_each_value(inbox: Inbox) -> None:
    take(inbox, lead())
    table = leads(inbox, NOON)
    assert table.schema == arrow_schema(LEADS)
    assert [row["value"] for row in table.to_pylist()] == list(VALUES)
    assert table.to_pylist()[0] == {
        "lead_id": uid("indicator", 1),
        "sender": NORTH,
        "campaign_ref": uid("campaign", 1),
        "sender_verdict": None,
        "kind": "wording",
        "value": VALUES[0],
        "group_id": "g-one",
        "epoch": 3,
        "key_id": None,
        "precision": 0.5,
        "valid_from": NOON - timedelta(days=2),
        "valid_until": NOON + timedelta(days=30),
        "received_at": NOON,
    }


def test_an_empty_inbox_has_no_leads(inbox: Inbox) -> None:
    assert leads(inbox, NOON) == arrow_schema(LEADS).empty_table()
    assert senders(inbox, NOON) == []


@pytest.mark.parametrize(
    "objects",
    [
        lead(days=-1),
        lead(valid_from="2026-03-02T00:00:00Z"),
        lead(revoked=True),
        lead(pattern="[in another form]"),
        [indicator(), campaign()],
        [indicator(), campaign(revoked=True), indicates()],
        [indicator(), campaign(), indicates(revoked=True)],
        [campaign(), indicates()],
    ],
    ids=["expired", "not yet", "revoked", "unread", "no tie", "campaign revoked", "tie revoked", "no indicator"],
)
def test_what_is_not_in_force_is_no_lead(inbox: Inbox, objects: list[Object]) -> None:
    take(inbox, [*objects, *lead(2)])
    assert ids(inbox) == {uid("indicator", 2)}


def test_a_lead_ends_at_the_moment_it_says(inbox: Inbox) -> None:
    take(inbox, lead(days=1))
    assert leads(inbox, NOON + timedelta(days=1, seconds=-1)).num_rows == 2
    assert leads(inbox, NOON + timedelta(days=1)).num_rows == 0


def test_a_revocation_that_comes_later_ends_a_lead(inbox: Inbox) -> None:
    take(inbox, lead())
    take(inbox, [indicator(revoked=True)])
    assert ids(inbox) == set()


def test_a_tie_counts_only_by_the_word_of_whoever_made_the_indicator(inbox: Inbox) -> None:
    take(inbox, [indicator(), campaign()])
    take(inbox, [campaign(5, by=SOUTH), indicates(1, target=5, by=SOUTH)], "south", SOUTH)
    assert ids(inbox) == set()


def test_of_several_campaigns_the_first_is_named(inbox: Inbox) -> None:
    tie = {**indicates(9, target=0), "source_ref": uid("indicator", 1)}
    take(inbox, [*lead(1), campaign(0), tie])
    assert set(leads(inbox, NOON).column("campaign_ref").to_pylist()) == {uid("campaign", 0)}


def test_leads_are_written_where_the_next_detection_reads_them(inbox: Inbox) -> None:
    take(inbox, lead())
    assert write_leads(inbox, NOON).num_rows == 2
    assert store.read_leads(inbox.out).equals(leads(inbox, NOON))
    assert list(inbox.out.rglob("*.partial")) == []


def match(number: int, outcome: Outcome | None, *, sender: str = NORTH, campaign_id: str | None = None) -> Match:
    named = campaign_id or f"c-{number:012x}"
    return Match(uid("indicator", number), sender, named, outcome, 9, 100, NOON, NOON)


def test_precision_is_what_was_right_of_what_was_decided(inbox: Inbox) -> None:
    remember(inbox.out, [match(1, Outcome.right), match(2, Outcome.wrong), match(3, Outcome.right)], now=NOON)
    remember(inbox.out, [match(4, None), match(5, Outcome.wrong, sender=SOUTH)], now=NOON)
    assert records(inbox.out, now=NOON) == {NORTH: Record(2, 1), SOUTH: Record(0, 1)}
    assert Record(2, 1).precision == 3 / 5
    take(inbox, lead())
    assert set(leads(inbox, NOON).column("precision").to_pylist()) == {3 / 5}


def test_one_campaign_counts_once_however_many_leads_of_a_sender_match_it(inbox: Inbox) -> None:
    found = [match(number, Outcome.right, campaign_id="c-000000000001") for number in range(500)]
    assert remember(inbox.out, found, now=NOON) == 1
    assert records(inbox.out, now=NOON) == {NORTH: Record(1, 0)}


def test_remembering_the_same_again_changes_nothing_and_a_new_verdict_replaces_the_old(inbox: Inbox) -> None:
    assert remember(inbox.out, [match(1, Outcome.right)], now=NOON) == 1
    assert remember(inbox.out, [match(1, Outcome.right)], now=NOON + timedelta(days=1)) == 0
    assert remember(inbox.out, [match(1, Outcome.wrong)], now=NOON + timedelta(days=2)) == 1
    assert records(inbox.out, now=NOON) == {NORTH: Record(0, 1)}
    assert remember(inbox.out, [match(1, None)], now=NOON) == 1
    assert records(inbox.out, now=NOON) == {}


def test_a_sender_that_is_wrong_too_often_is_left_out_and_comes_back_when_that_is_long_ago(inbox: Inbox) -> None:
    take(inbox, lead())
    take(inbox, lead(2, by=SOUTH), "south", SOUTH)
    remember(inbox.out, [match(number, Outcome.wrong) for number in range(3)], now=NOON)
    assert uid("indicator", 1) in ids(inbox)
    remember(inbox.out, [match(3, Outcome.wrong)], now=NOON)
    assert ids(inbox) == {uid("indicator", 2)}
    assert {sender.partner: sender.is_heard for sender in senders(inbox, NOON)} == {"north": False, "south": True}
    assert uid("indicator", 1) in ids(inbox, least_precision=0.1)
    assert records(inbox.out, now=NOON + timedelta(days=366)) == {}


def test_what_each_sender_sent_is_told_with_what_was_left_out(inbox: Inbox) -> None:
    take(inbox, [*lead(1), *lead(2, days=-1), *lead(3, revoked=True), indicator(4)])
    (told,) = senders(inbox, NOON)
    assert (told.partner, told.sender, told.indicators, told.values) == ("north", NORTH, 1, 2)
    assert told.left_out == {"expired": 1, "revoked": 1, "without a campaign": 1}
    assert (told.valid_until, told.last_received_at) == (NOON + timedelta(days=30), NOON)


def matched(campaign_id: str | None, verdict: str | None) -> dict[str, Any]:
    return {
        "lead_id": uid("indicator", 1),
        "sender": NORTH,
        "campaign_id": campaign_id,
        "verdict": verdict,
        "accounts": 9,
        "exchanges": 100,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
    }


@pytest.mark.parametrize(
    ("verdict", "said", "outcome"),
    [
        ("distillation", [], Outcome.right),
        ("explained", [], Outcome.wrong),
        ("coordinated", [], None),
        ("insufficient_data", [], None),
        ("coordinated", ["guilty"], Outcome.right),
        ("distillation", ["innocent"], Outcome.wrong),
        ("explained", ["guilty"], Outcome.right),
        ("distillation", ["guilty", "innocent"], Outcome.wrong),
    ],
)
def test_a_match_is_judged_by_the_newest_word_of_an_analyst_and_else_by_the_campaign(
    verdict: str, said: list[str], outcome: Outcome | None
) -> None:
    verdicts = judged(("c-1", "campaign", word, number) for number, word in enumerate(said))
    table = pa.Table.from_pylist([matched("c-1", verdict), matched(None, None)], schema=arrow_schema(LEAD_MATCHES))
    found = matches(table, verdicts, Borne())
    assert [row.outcome for row in found] == [outcome, None]


def judged(said: Iterable[tuple[str, str, str, int]]) -> pa.Table:
    """Verdicts of an analyst: subject, its kind, the word, and at which hour; the newest first."""
    names = ("subject", "subject_kind", "verdict")
    rows = [
        {
            **dict(zip(names, row, strict=False)),
            "because": "looked",
            "author": "an analyst",
            "decided_at": NOON + timedelta(hours=row[3]),
        }
        for row in said
    ]
    return pa.Table.from_pylist(rows[::-1], schema=arrow_schema(VERDICT_RECORDS))


BORNE = Borne(
    {uid("indicator", 1): uid("campaign", 1)},
    {uid("campaign", 1): ("a", "b", "c", "loner", "other")},
    dict.fromkeys(("a", "b", "c", "d"), "c-1"),
)


@pytest.mark.parametrize(
    ("verdict", "said", "inside", "outside"),
    [
        ("coordinated", {"a": "guilty"}, Outcome.right, None),
        ("distillation", {"a": "innocent"}, Outcome.right, None),  # one cleared account does not clear a campaign
        ("distillation", {"a": "innocent", "b": "innocent"}, Outcome.wrong, None),
        ("coordinated", {"a": "innocent"}, Outcome.wrong, None),
        ("coordinated", {"a": "innocent", "b": "guilty", "c": "guilty"}, Outcome.right, None),
        ("coordinated", {"a": "innocent", "b": "guilty"}, None, None),
        ("distillation", {"d": "innocent"}, Outcome.right, None),  # it bears no lead
        ("explained", {"loner": "guilty"}, Outcome.wrong, Outcome.right),
        ("coordinated", {"loner": "innocent", "nobody": "guilty"}, None, Outcome.wrong),
    ],
)
def test_what_analysts_found_of_single_accounts_judges_the_leads_that_these_bear(
    verdict: str, said: dict[str, str], inside: Outcome | None, outside: Outcome | None
) -> None:
    table = pa.Table.from_pylist([matched("c-1", verdict), matched(None, None)], schema=arrow_schema(LEAD_MATCHES))
    verdicts = judged((name, "account", word, 0) for name, word in said.items())
    assert [row.outcome for row in matches(table, verdicts, BORNE)] == [inside, outside]
    on_all = pa.concat_tables([verdicts, judged([("c-1", "campaign", "innocent", 0)])])
    assert matches(table, on_all, BORNE)[0].outcome is Outcome.wrong


def test_accounts_in_no_campaign_count_once_for_each_campaign_of_the_sender(inbox: Inbox) -> None:
    table = pa.Table.from_pylist([matched(None, None)], schema=arrow_schema(LEAD_MATCHES))
    verdicts = judged([("loner", "account", "guilty", 0), ("other", "account", "guilty", 0)])
    assert remember(inbox.out, matches(table, verdicts, BORNE), now=NOON) == 1
    assert records(inbox.out, now=NOON) == {NORTH: Record(1, 0)}
    assert remember(inbox.out, matches(table, judged([]), BORNE), now=NOON) == 1
    assert records(inbox.out, now=NOON) == {}


def test_a_damaged_file_of_outcomes_is_named(inbox: Inbox) -> None:
    remember(inbox.out, [match(1, Outcome.right)], now=NOON)
    (inbox.folder / "outcomes.json").write_text('[{"sender": 5}]')
    with pytest.raises(store.StoreError, match=r"outcomes\.json is damaged"):
        records(inbox.out, now=NOON)
