"""What partners sent, as a detection takes it: valid, under a key that is held, and weighed by its sender."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stillwatch import leads
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.records import LEAD_MATCHES, LEADS, arrow_schema
from stillwatch.sharing import GroupKey, keyed

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = GroupKey("g-one", 2, hashlib.sha256(b"one").digest())
KEYS = {(KEY.group_id, KEY.epoch): KEY}
ROW: dict[str, Any] = {
    "lead_id": "indicator--1",
    "sender": "identity--north",
    "campaign_ref": "campaign--1",
    "sender_verdict": "distillation",
    "kind": "wording",
    "value": "00000000000000ff",
    "group_id": "g-one",
    "epoch": 2,
    "key_id": None,
    "precision": 0.5,
    "valid_from": NOON - timedelta(days=1),
    "valid_until": NOON + timedelta(days=1),
    "received_at": NOON,
}


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**ROW, **row} for row in rows], arrow_schema(LEADS))


@pytest.mark.parametrize(
    "change",
    [
        {"valid_until": NOON},
        {"valid_from": NOON + timedelta(seconds=1)},
        {"epoch": 1},
        {"group_id": "g-two"},
        {"kind": "item"},
        {"kind": "ip", "group_id": None, "epoch": None, "key_id": "k"},
    ],
)
def test_what_is_not_valid_or_cannot_be_compared_is_left_out(change: dict[str, Any]) -> None:
    sent = leads.sent(table({}, {"lead_id": "indicator--2", "campaign_ref": "campaign--2", **change}), KEYS, NOON)
    assert list(sent.leads.campaigns) == ["campaign--1"]
    assert sent.rows.num_rows == 1


def test_the_most_trusted_come_first_and_a_value_of_two_is_theirs() -> None:
    other = {"campaign_ref": "campaign--0", "lead_id": "indicator--0", "precision": 0.3}
    sent = leads.sent(table(other, {}, {"value": "0000000000000001"}), KEYS, NOON)
    assert list(sent.leads.precision.items()) == [("campaign--1", 0.5), ("campaign--0", 0.3)]
    [received] = sent.leads.received
    assert received.campaign_of == {255: 0, 1: 0}
    numbers = np.array([7, -7], np.int64)
    assert (received.keyed(numbers) == keyed(numbers, "wording", KEY)).all()


def test_only_what_its_sender_found_to_be_distillation_makes_a_harvest_likelier() -> None:
    rows = [
        {"campaign_ref": f"campaign--{n}", "sender_verdict": said}
        for n, said in enumerate(("distillation", "coordinated", None))
    ]
    assert leads.sent(table(*rows), KEYS, NOON).harvests == {"campaign--0": 0.5}


def test_without_anything_sent_there_is_nothing() -> None:
    sent = leads.sent(arrow_schema(LEADS).empty_table(), {}, NOON)
    assert (list(sent.leads.campaigns), list(sent.leads.received), sent.harvests) == ([], [], {})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path, memory_limit="200MB", threads=1) as engine:
        yield engine


def test_matches_say_which_campaign_bears_which_lead_and_how_many_accounts_are_in_none(engine: EmbeddedEngine) -> None:
    sent = leads.sent(table({}, {"lead_id": "indicator--2", "value": "0000000000000002"}), KEYS, NOON)
    rows = [
        {"account_id": name, "lead": lead, "started_at": NOON + timedelta(minutes=n)}
        for n, (name, lead) in enumerate([("a", 0), ("a", 0), ("b", 0), ("c", 0), ("c", None)])
    ]
    campaigns = [{"campaign_id": "c-1", "verdict": "distillation", "account_ids": ["a", "b"]}]
    templated = engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA))
    found = leads.matches(sent, templated, campaigns, engine)
    assert found.schema == arrow_schema(LEAD_MATCHES)
    told = {(row["lead_id"], row["campaign_id"]): (row["accounts"], row["exchanges"]) for row in found.to_pylist()}
    both = {"c-1": (2, 3), None: (1, 1)}
    assert told == {(f"indicator--{n}", name): counts for n in (1, 2) for name, counts in both.items()}
    assert {row["first_seen_at"] for row in found.to_pylist()} == {NOON}
    assert leads.matches(leads.NOTHING_SENT, templated, campaigns, engine).num_rows == 0
