"""Facts about an imagined cluster, guilty unless a test changes them, and ordinary traffic to compare with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from stillwatch.campaigns import Facts, Member, TestResult
from stillwatch.campaigns.coordination import Measure
from stillwatch.campaigns.days import NO_DAYS, Days
from stillwatch.campaigns.facts import Declared, Evidence, GroupLink, Reached, TemplateUse, Usage
from stillwatch.campaigns.ordinary import Ordinary, units_of
from stillwatch.campaigns.ordinary import ordinary as learned_from
from stillwatch.campaigns.tables import Tables
from stillwatch.campaigns.volume import Volume
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.records import ACCOUNTS, EXCHANGES, EXTRACTION_TECHNIQUES, INTENTS, REPLAYS, arrow_schema

CONTENT = GroupLink("content", 12, 0.5, 12, 1e-12, together=12)
NETWORK = GroupLink("network", 10, 0.5, 12, 1e-9)
DECLARED = Declared("o", accounts=40, outside=(("x1", "x2"),), shared=3)
REACHED = Reached("debug_pretext", accounts=9, others=1, customers=1_200)
HARVEST = Usage(
    exchanges=5000,
    items=4900,
    accounts=12,
    copies=100,
    repeated_exchanges=20,
    output_tokens=5000 * 3000,
    intents=tuple(4500 if name == "forced_trace_tags" else 0 for name in INTENTS),
    capabilities={"reasoning": 5000},
)


def one_day(intents: Sequence[tuple[int, ...]]) -> Days:
    """Units that each send so many exchanges with each intent, all on one day."""
    counts = np.array(intents, dtype=np.float64).reshape(-1, len(INTENTS))
    first, units = np.zeros(len(counts), np.int64), np.arange(len(counts))
    return Days(units, first, counts.sum(axis=1), counts.sum(axis=1), counts, size=len(counts))


GUILTY = Facts(
    members=[Member(f"a{i:02d}") for i in range(12)],
    evidence=[Evidence("template", "content", "content", "17", 12, 0, 6.0, "high")],
    links=[CONTENT, NETWORK],
    templates=[TemplateUse(17, 5000, 12, 4900, "reasoning")],
    bearing=HARVEST,
    first_seen_at=datetime(2026, 1, 1, tzinfo=UTC),
    last_seen_at=datetime(2026, 1, 9, tzinfo=UTC),
    exchanges=6000,
    input_tokens=10,
    output_tokens=20,
    reasoning_tokens=5,
    by_capability={"reasoning": 6000},
    by_model={"m": 6000},
    timeline=[(date(2026, 1, 1), 6000, 12)],
    model_days=[(date(2026, 1, 1), "m", 6000)],
    has_prompts=True,
    public_share=0.0,
    busiest_days_share=0.1,
    columns=frozenset(f"{table.name}.{name}" for table in (ACCOUNTS, EXCHANGES) for name in table.names),
    member_days=one_day([tuple(375 if name == "forced_trace_tags" else 0 for name in INTENTS)] * 12),
)
PROVEN_BITS = 6.0  # of elicitation: as rare as one ordinary unit in 64


def facts(**changes: Any) -> Facts:
    """The guilty cluster, with changes."""
    return replace(GUILTY, **changes)


ORDINARY = Volume("not_proven", 1.0, 0.0, 1.1, "together they take 1.1 times what others do, which is not far more")
MUCH = Volume("proven", 1e-9, 30.0, 5.0, "together they take 5.0 times what others do")


def bearing(**changes: Any) -> Usage:
    """Its template-bearing traffic, with changes."""
    return replace(HARVEST, **changes)


def members(count: int = 12, **columns: Any) -> list[Member]:
    """Members that all say the same in the accounts table."""
    return [Member(f"a{i:02d}", **columns) for i in range(count)]


def outcome(result: str, elicitation: float = 0.0) -> TestResult:
    """The outcome of a harvest test, with the bits of its elicitation measure."""
    return TestResult(result, 0.001, 1.0, "as stated", (Measure("elicitation", 1.0, 0.0, elicitation, "as stated"),))


PROVEN, NOT_PROVEN, NOT_TESTED = outcome("proven"), outcome("not_proven"), outcome("not_tested")
TELLING = outcome("proven", elicitation=PROVEN_BITS)


def intents(**counts: int) -> tuple[int, ...]:
    """Exchanges of each intent."""
    return tuple(counts.get(name, 0) for name in INTENTS)


def shared(kind: str, accounts: int, outside: int = 0) -> Evidence:
    """One trait of a kind, held by so many members and so many others."""
    return Evidence(kind, kind, kind, "value", accounts, outside, 9.0, "medium")


def tie(group: str) -> GroupLink:
    """A group of traits that ties most members beyond chance."""
    return GroupLink(group, 10, 0.5, 12, 1e-9)


def unit(**changes: Any) -> Facts:
    """A verified organisation as a unit of its own, through which a campaign outside harvests."""
    inside = members(organization_id="o", access_program="enterprise", verification_level="contract")
    return facts(members=inside, links=[], declared=replace(DECLARED, **changes))


def ordinary_units(count: int, seed: int = 0, segment: tuple[str | None, ...] = ()) -> list[Usage]:
    """Customers: some dozens of prompts each, mostly without any intent, of mixed capabilities."""
    rng = np.random.default_rng(seed)
    units = []
    for _ in range(count):
        n = int(rng.integers(10, 120))
        intents = rng.binomial(n, [0.15, *[0.01] * (len(INTENTS) - 1)])
        general = int(rng.binomial(n, 0.7))
        units.append(
            Usage(
                exchanges=n,
                items=int(n * rng.uniform(0.5, 1.0)),
                accounts=1,
                output_tokens=int(n * rng.uniform(100, 900)),
                intents=tuple(int(i) for i in intents),
                capabilities={"general": general, "reasoning": n - general},
                segment=segment,
            )
        )
    return units


def customers(extracting: int, of: int = 300) -> list[Usage]:
    """Customers who ask for much, so many of whom reach for the model's reasoning, in one exchange."""
    units = ordinary_units(of)
    asked = [dict(zip(INTENTS, unit.intents, strict=True)) | dict.fromkeys(EXTRACTION_TECHNIQUES, 0) for unit in units]
    for one in asked[:extracting]:
        one["forced_trace_tags"] = 1
    return [replace(unit, intents=intents(**one)) for unit, one in zip(units, asked, strict=True)]


def learned(units: Sequence[Usage], days: Days = NO_DAYS) -> Ordinary:
    """What is learned from such customers."""
    return learned_from(units_of(units), days)


def ordinary(count: int = 300, seed: int = 0) -> Ordinary:
    """What is learned from those customers."""
    return learned(ordinary_units(count, seed))


def spread(units: Sequence[Usage], seed: int = 0, window: int = 28, least: int = 1, most: int = 28) -> Days:
    """The traffic of these customers over days: `least` to `most` days from the first to the last, busier on some."""
    rng = np.random.default_rng(seed)
    numbers, days, counts = [], [], []
    for number, unit in enumerate(units):
        length = int(rng.integers(least, most + 1))
        shares = rng.dirichlet(np.full(length, 0.7))
        sums = (unit.exchanges, unit.items, *unit.intents)
        drawn = np.stack([rng.multinomial(total, shares) for total in sums], axis=1)
        at_work = np.flatnonzero(drawn.any(axis=1))
        numbers.append(np.full(len(at_work), number))
        days.append(int(rng.integers(window - length + 1)) + at_work)
        counts.append(drawn[at_work])
    exchanges, items, *intents = np.concatenate(counts).astype(np.float64).T
    unit_of = np.concatenate(numbers)
    return Days(unit_of, np.concatenate(days), exchanges, items, np.stack(intents, axis=1), size=len(units))


def tables(engine: EmbeddedEngine, exchanges: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> Tables:
    """Stage tables with nobody in a cluster but the account `member`."""
    rows = [{"exchange_id": i, "item_id": i, "intents": 1, **row} for i, row in enumerate(exchanges)]
    empty = pa.table({})
    return Tables(
        templated=engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA)),
        activity=engine.memory(pa.table({"account_id": pa.array([], pa.string())})),
        accounts=pa.Table.from_pylist(accounts, arrow_schema(ACCOUNTS)),
        members=pa.table({"account_id": ["member"], "cluster_id": [0]}),
        evidence=empty,
        cohesion=empty,
        replays=engine.memory(arrow_schema(REPLAYS).empty_table()),
    )
