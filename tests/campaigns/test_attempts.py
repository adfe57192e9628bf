"""Attempts and replays of a cluster, gathered by an engine and counted by hand."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.campaigns.attempts import (
    REFUSALS,
    TRIED,
    AttemptDay,
    TechniqueUse,
    attempt_days,
    attempts_by,
    reaching_rows,
)
from stillwatch.campaigns.handed_on import HandedOn, handed_on_by
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS, REPLAYS, arrow_schema

Row = dict[str, Any]
STARTS_AT = datetime(2026, 7, 1, tzinfo=UTC)
TEMPLATED = pa.schema(
    [
        ("cluster_id", pa.int64()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("template_id", pa.int64()),
        ("item_id", pa.int64()),
        ("intents", pa.int64()),
        ("finish_reason", pa.string()),
        ("status", pa.string()),
    ]
)


def bits(*names: str) -> int:
    return sum(1 << INTENTS.index(name) for name in names)


def exchanges(seed: int, count: int = 300) -> list[Row]:
    rng = random.Random(seed)
    marks = [None, 0, bits("step_by_step"), bits("debug_pretext"), bits("debug_pretext", "reasoning_disclosure")]
    marks += [bits("replay_decoding", "expert_persona")]
    return [
        {
            "cluster_id": rng.randrange(2),
            "account_id": f"a{rng.randrange(5)}",
            "started_at": STARTS_AT + timedelta(hours=rng.randrange(60)),
            "template_id": rng.choice((None, None, 7, 8)),
            "item_id": rng.randrange(40),
            "intents": rng.choice(marks),
            "finish_reason": rng.choice((None, "stop", "Content_Filter", "refusal")),
            "status": rng.choice((None, "200", "content_policy_violation", "400")),
        }
        for _ in range(count)
    ]


def techniques_of(row: Row) -> tuple[str, ...]:
    return tuple(name for name in EXTRACTION_TECHNIQUES if (row["intents"] or 0) >> INTENTS.index(name) & 1)


def is_refused(row: Row) -> bool:
    return any((row[name] or "").lower() in REFUSALS for name in ("finish_reason", "status"))


@pytest.mark.parametrize("seed", [1, 2])
def test_attempts_equal_a_count_in_plain_python(seed: int, engine: EmbeddedEngine) -> None:
    rows = exchanges(seed)
    sent = engine.memory(pa.Table.from_pylist(rows, TEMPLATED))
    found = attempts_by(sent, reaching_rows(sent), "cluster_id")
    for cluster in (0, 1):
        mine = [row for row in rows if row["cluster_id"] == cluster]
        reaching = [row for row in mine if techniques_of(row)]
        told = found[cluster]
        assert (told.exchanges, told.reaching) == (len(mine), len(reaching))
        assert told.refused == sum(map(is_refused, reaching))
        assert told.accounts == len({row["account_id"] for row in reaching})
        for name in EXTRACTION_TECHNIQUES:
            those = [row for row in reaching if name in techniques_of(row)]
            use = TechniqueUse(len(those), sum(map(is_refused, those)), len({row["account_id"] for row in those}))
            assert told.techniques.get(name, TechniqueUse(0, 0, 0)) == use


@pytest.mark.parametrize("seed", [3, 4])
def test_days_equal_a_count_in_plain_python_in_any_order(seed: int, engine: EmbeddedEngine) -> None:
    rows = exchanges(seed)
    forms: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        if techniques_of(row):
            forms[row["cluster_id"], row["template_id"] or row["item_id"]].append(row)
    expected: dict[tuple[Any, ...], list[tuple[int, Row]]] = defaultdict(list)
    for (cluster, form), sent in forms.items():
        for row in sent:
            key = (cluster, row["started_at"].date(), techniques_of(row), len(sent) <= TRIED)
            expected[key].append((form, row))
    told = attempt_days(reaching_rows(engine.memory(pa.Table.from_pylist(rows, TEMPLATED))), "cluster_id")
    random.Random(seed).shuffle(rows)
    assert attempt_days(reaching_rows(engine.memory(pa.Table.from_pylist(rows, TEMPLATED))), "cluster_id") == told
    assert {(cluster, day) for cluster, days in told.items() for day in days} == {
        (
            key[0],
            AttemptDay(*key[1:], len({form for form, _ in those}), len(those), sum(is_refused(r) for _, r in those)),
        )
        for key, those in expected.items()
    }


def replay(artefact: str, origin: str, account: str, minute: int = 0, **changes: Any) -> Row:
    at = STARTS_AT + timedelta(minutes=minute)
    row = {"artefact": artefact, "origin_account_id": origin, "was_issued": True, "account_id": account}
    return {**row, "exchanges": 2, "first_at": at, "last_at": at, "reading": "carried", **changes}


def handed_on(engine: EmbeddedEngine, rows: list[Row]) -> dict[int, HandedOn]:
    members = pa.table({"account_id": ["a", "b", "c", "z"], "cluster_id": [0, 0, 0, 1]})
    ledger = engine.memory(pa.Table.from_pylist(rows, arrow_schema(REPLAYS)))
    return handed_on_by(ledger, engine.memory(members))


def test_replays_of_a_cluster_are_told_in_numbers(engine: EmbeddedEngine) -> None:
    rows = [
        replay("r1", "a", "b", 5),
        replay("r2", "a", "b", 9),
        replay("r2", "a", "c", 7),
        replay("r3", "stranger", "c", 1, was_issued=False),
        replay("r4", "z", "a", 3),
        replay("r5", "a", "b", 0, reading="published"),
        replay("r6", "a", "stranger", 0),
    ]
    assert handed_on(engine, rows) == {
        0: HandedOn(
            artefacts=4,
            exchanges=10,
            replaying_accounts=3,
            origin_accounts=1,
            from_members=2,
            from_outside=2,
            unissued=1,
            set_aside=1,
            first_at=STARTS_AT + timedelta(minutes=1),
            last_at=STARTS_AT + timedelta(minutes=9),
        )
    }


def test_an_account_whose_reasoning_others_replay_has_replayed_nothing_itself(engine: EmbeddedEngine) -> None:
    assert handed_on(engine, [replay("r1", "a", "stranger")]) == {}
    assert handed_on(engine, []) == {}
