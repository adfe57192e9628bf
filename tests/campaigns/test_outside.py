"""Outside: what a unit is, the segment its traffic lies in, and all of its columns against rows counted one by one."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.campaigns.clues import tables

from stillwatch.campaigns.attempts import attempts_by, reaching_rows
from stillwatch.campaigns.extraction import reaches
from stillwatch.campaigns.ordinary import Segment, units_of
from stillwatch.campaigns.outside import outside
from stillwatch.campaigns.usage import days_by, usage_by
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EMBEDDING_SIZE, INTENTS

START = datetime(2026, 1, 5, tzinfo=UTC)


def random_exchanges(seed: int, count: int = 600) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    marks = [None, 0, 1, 1 << INTENTS.index("debug_pretext"), 3 << INTENTS.index("translation_laundering")]
    return [
        {
            "account_id": f"a{rng.randrange(7)}",
            "started_at": START + timedelta(hours=rng.randrange(200)),
            "model": rng.choice(("large", "small")),
            "script": rng.choice((None, "latin", "han")),
            "capability": rng.choice((None, "reasoning", "general")),
            "item_id": rng.choice((None, rng.randrange(60))),
            "intents": rng.choice(marks),
            "output_tokens": rng.choice((None, rng.randrange(900))),
            "finish_reason": rng.choice((None, "stop", "refusal")),
            "embedding": rng.choice((None, [rng.randrange(-20, 20) for _ in range(EMBEDDING_SIZE)])),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_columns_of_units_are_those_of_a_cluster_asked_for_the_same(engine: EmbeddedEngine, seed: int) -> None:
    """Every account is a unit here; usage, days and attempts of clusters are counted by other queries."""
    of = tables(engine, random_exchanges(seed), [])
    units, days, reaching = outside(of, engine)
    usages = usage_by(of.templated, "account_id")
    attempts = attempts_by(of.templated, reaching_rows(of.templated), "account_id")
    _, expected_days = days_by(of.templated, "account_id")
    expected = units_of([usages[name] for name in sorted(usages)])
    for name in ("exchanges", "items", "output_tokens", "intents", "mixes", "narrowness"):
        np.testing.assert_array_equal(getattr(units, name), getattr(expected, name))
    for name in ("unit", "day", "exchanges", "items", "intents"):
        np.testing.assert_array_equal(getattr(days, name), getattr(expected_days, name))
    told = [attempts[name] for name in sorted(attempts)]
    counts = [(one.exchanges, one.reaching, len(one.techniques), one.refused) for one in told]
    for found, wanted in zip(reaching, reaches(*np.array(counts, np.float64).T), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("seed", [2, 3])
def test_segments_are_those_counted_by_hand(engine: EmbeddedEngine, seed: int) -> None:
    rows = random_exchanges(seed)
    units = outside(tables(engine, rows, []), engine).units
    for name, segment in zip(sorted({row["account_id"] for row in rows}), units.segments, strict=True):
        own = [row for row in rows if row["account_id"] == name]
        assert segment == (commonest(own, "model"), None, commonest(own, "script"))


def commonest(rows: Sequence[dict[str, Any]], part: str) -> str | None:
    counts = Counter(row[part] for row in rows)
    return min(counts, key=lambda value: (-counts[value], value or ""))


def segments(engine: EmbeddedEngine, exchanges: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> list[Segment]:
    return list(outside(tables(engine, exchanges, accounts), engine).units.segments)


def test_a_unit_is_an_organisation_or_a_lone_account_outside_every_cluster(engine: EmbeddedEngine) -> None:
    exchanges = [{"account_id": name, "model": "m"} for name in ("a", "a", "b", "c", "member")]
    accounts = [{"account_id": "a", "organization_id": "o"}, {"account_id": "b", "organization_id": "o"}]
    found = outside(tables(engine, exchanges, accounts), engine)
    assert found.units.exchanges.tolist() == [1, 3]
    assert found.days.size == 2


def test_the_segment_is_the_commonest_of_each_part_and_of_equals_the_first_by_name(engine: EmbeddedEngine) -> None:
    exchanges = [
        {"account_id": "a", "model": "small", "script": "latin"},
        {"account_id": "a", "model": "large", "script": "latin"},
        {"account_id": "a", "model": "large", "script": "han"},
        {"account_id": "b", "model": "y"},
        {"account_id": "b", "model": "x"},
    ]
    found = segments(engine, exchanges, [{"account_id": "a", "access_program": "paid"}])
    assert found == [("large", "paid", "latin"), ("x", None, None)]


def test_where_nobody_is_outside_there_are_no_units(engine: EmbeddedEngine) -> None:
    found = outside(tables(engine, [{"account_id": "member", "model": "m"}], []), engine)
    assert (len(found.units.exchanges), found.days.size, found.reaching.size) == (0, 0, 0)


def test_without_prompts_nothing_is_gathered_as_no_harvest_could_be_tested(engine: EmbeddedEngine) -> None:
    logged = frozenset({"account_id", "started_at", "model", "output_tokens"})
    of = tables(engine, [{"account_id": "a", "model": "m"}], [])
    assert len(outside(replace(of, columns=logged), engine).units.exchanges) == 0
    assert len(outside(replace(of, columns=logged | {"intents"}), engine).units.exchanges) == 1
