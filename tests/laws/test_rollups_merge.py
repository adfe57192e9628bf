"""Rollups are sums: parts merged equal one pass, an empty part changes nothing, order does not matter.

Each law is held against sums in plain Python too: if merging lost rows, both sides of a law could be wrong alike.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rollups import replay_oracle

from stillwatch import rollups
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import ACCOUNTS, EMBEDDING_SIZE, SIGNALS, arrow_schema
from stillwatch.rollups.content import EMBEDDINGS_PER_DAY
from stillwatch.rollups.replays import MIN_INTRODUCTIONS, PUBLISHED_OWNERS
from stillwatch.rollups.starts import SILENCE_S

Row = dict[str, Any]
STARTS_AT = datetime(2026, 3, 2, tzinfo=UTC)
LAW = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(("a", "b", "c")),
            "started_at": st.integers(0, 4 * 3600 * 10**6).map(lambda us: STARTS_AT + timedelta(microseconds=us)),
            "model": st.sampled_from(("large", "small")),
            "capability": st.sampled_from((None, "general", "reasoning")),
            "client_ip": st.sampled_from((None, "ip1", "ip2")),
            "client_ip_prefix": st.sampled_from((None, "net")),
            "user_agent": st.sampled_from((None, "curl")),
            "tls_fingerprint": st.sampled_from((None, "t13d")),
            "system_prompt_id": st.sampled_from((None, 7, -8)),
            "metadata_keys_id": st.sampled_from((None, 9)),
            "organization_id": st.sampled_from((None, None, "firm")),
            "reasoning_issued": st.sampled_from((None, [], ["r1"], ["r1", "r2"])),
            "reasoning_replayed": st.sampled_from((None, [], ["r1"], ["r2"], ["r3", "r4"], ["r5"], ["r6", "r6"])),
            "input_tokens": st.none() | st.integers(0, 10**6),
            "output_tokens": st.none() | st.integers(0, 2**50),
        }
    ),
    max_size=24,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine


def signals(engine: EmbeddedEngine, rows: list[Row]) -> IbisTable:
    numbered = [{**row, "exchange_id": str(number)} for number, row in enumerate(rows)]
    return engine.memory(pa.Table.from_pylist(numbered, arrow_schema(SIGNALS)))


def rowset(table: IbisTable) -> Counter[tuple[Any, ...]]:
    found = table.to_pyarrow()
    names = sorted(found.column_names)
    return Counter(tuple(row[name] for name in names) for row in found.to_pylist())


def merged_activity(engine: EmbeddedEngine, parts: list[list[Row]]) -> IbisTable:
    return rollups.merged_activity(ibis.union(*[rollups.activity(signals(engine, part)) for part in parts]))


def merged_traits(engine: EmbeddedEngine, parts: list[list[Row]]) -> IbisTable:
    return rollups.merged_traits(ibis.union(*[rollups.daily_traits(signals(engine, part)) for part in parts]))


def traits(engine: EmbeddedEngine, rows: list[Row]) -> IbisTable:
    return rollups.merged_traits(rollups.daily_traits(signals(engine, rows)))


def artefacts(engine: EmbeddedEngine, rows: list[Row]) -> IbisTable:
    return rollups.merged_artefacts(rollups.daily_artefacts(signals(engine, rows)))


def merged_starts(engine: EmbeddedEngine, parts: list[list[Row]]) -> IbisTable:
    return rollups.session_starts(ibis.union(*[rollups.sessions(signals(engine, part)) for part in parts]))


def merged_content(engine: EmbeddedEngine, parts: list[list[Row]]) -> IbisTable:
    return rollups.sampled(ibis.union(*[rollups.content(numbered(engine, part)) for part in parts]))


def numbered(engine: EmbeddedEngine, rows: list[Row]) -> IbisTable:
    """Signals with their numbers; an embedding of each tells it from the others."""
    known = pa.Table.from_batches([pa.RecordBatch.from_pylist(rows, arrow_schema(SIGNALS))])
    return engine.memory(known.append_column("exchange_key", pa.array([row["number"] for row in rows], pa.int64())))


def merged_ledger(engine: EmbeddedEngine, parts: list[list[Row]]) -> IbisTable:
    """The ledger read from partial tables: issue and replay may stand in different parts."""
    handled = rollups.merged_artefacts(ibis.union(*[rollups.daily_artefacts(signals(engine, part)) for part in parts]))
    return rollups.replays(handled, engine.memory(arrow_schema(ACCOUNTS).empty_table()))


@LAW
@given(rows=ROWS, cut=st.integers(0, 24))
def test_activity_of_parts_merged_equals_one_pass(engine: EmbeddedEngine, rows: list[Row], cut: int) -> None:
    parts = [rows[:cut], rows[cut:], []]
    assert rowset(merged_activity(engine, parts)) == rowset(rollups.activity(signals(engine, rows)))


@LAW
@given(rows=ROWS, cut=st.integers(0, 24))
def test_traits_of_parts_merged_equal_one_pass(engine: EmbeddedEngine, rows: list[Row], cut: int) -> None:
    parts = [rows[:cut], rows[cut:], []]
    assert rowset(merged_traits(engine, parts)) == rowset(traits(engine, rows))


@LAW
@given(rows=ROWS, cut=st.integers(0, 24))
def test_starts_of_parts_merged_equal_one_pass_and_a_plain_walk_through_time(
    engine: EmbeddedEngine, rows: list[Row], cut: int
) -> None:
    merged = rowset(merged_starts(engine, [rows[cut:], [], rows[:cut]]))
    assert merged == rowset(merged_starts(engine, [rows]))
    expected, last = set(), {}
    for at, account_id in sorted((int(row["started_at"].timestamp()), row["account_id"]) for row in rows):
        if at - last.get(account_id, 0) > SILENCE_S:
            expected.add((account_id, at // 60))
        last[account_id] = at
    assert set(merged) == expected


@LAW
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3 * 24)), max_size=60), cut=st.integers(0, 60))
def test_the_sample_of_parts_merged_is_the_smallest_numbers_of_each_day(
    engine: EmbeddedEngine, rows: list[tuple[str, int]], cut: int
) -> None:
    given = [
        {
            "exchange_id": str(i),
            "number": hash((i, 7)),
            "account_id": account,
            "started_at": STARTS_AT + timedelta(hours=hour),
            "model": "m",
            "embedding": None if i % 5 == 0 else [i % 100] * EMBEDDING_SIZE,
        }
        for i, (account, hour) in enumerate(rows)
    ]
    found = merged_content(engine, [given[cut:], given[:cut], []]).to_pyarrow().to_pylist()
    days: dict[tuple[str, int], list[int]] = {}
    for row, (account, hour) in zip(given, rows, strict=True):
        if row["embedding"] is not None:
            days.setdefault((account, hour // 24), []).append(row["number"])
    expected = {number for numbers in days.values() for number in sorted(numbers)[:EMBEDDINGS_PER_DAY]}
    assert {row["exchange_id"] for row in found if row["embedding"] is not None} == expected
    assert sorted(row["exchange_id"] for row in found) == sorted(row["number"] for row in given)


@LAW
@given(rows=ROWS, rng=st.randoms(use_true_random=False))
def test_the_order_of_exchanges_changes_no_rollup(engine: EmbeddedEngine, rows: list[Row], rng: Any) -> None:
    mixed = rng.sample(rows, len(rows))
    assert rowset(rollups.activity(signals(engine, mixed))) == rowset(rollups.activity(signals(engine, rows)))
    assert rowset(traits(engine, mixed)) == rowset(traits(engine, rows))


@LAW
@given(rows=ROWS, cut=st.integers(0, 24), rng=st.randoms(use_true_random=False))
def test_the_ledger_of_batches_in_any_order_equals_one_pass_and_plain_python(
    engine: EmbeddedEngine, rows: list[Row], cut: int, rng: Any
) -> None:
    mixed = rng.sample(rows, len(rows))
    whole = merged_ledger(engine, [rows])
    assert rowset(merged_ledger(engine, [[], mixed[cut:], mixed[:cut]])) == rowset(whole)
    limits = {"published_owners": PUBLISHED_OWNERS, "introductions": MIN_INTRODUCTIONS}
    columns = ("origin_account_id", "was_issued", "exchanges", "first_at", "last_at", "reading")
    told = {(r["artefact"], r["account_id"]): tuple(r[c] for c in columns) for r in whole.to_pyarrow().to_pylist()}
    assert told == replay_oracle.ledger(rows, {}, **limits)


@LAW
@given(rows=ROWS)
def test_what_a_scan_reads_straight_off_its_signals_is_what_days_merge_to(
    engine: EmbeddedEngine, rows: list[Row]
) -> None:
    given = signals(engine, rows)
    assert rowset(rollups.exchange_traits(given, rollups.appearances(given))) == rowset(traits(engine, rows))
    assert rowset(rollups.session_starts(rollups.spans(given))) == rowset(merged_starts(engine, [rows]))
    nobody = engine.memory(arrow_schema(ACCOUNTS).empty_table())
    ledger = rollups.replays(rollups.exchanged_artefacts(given), nobody)
    assert rowset(ledger) == rowset(merged_ledger(engine, [rows]))


@LAW
@given(rows=ROWS)
def test_rollups_lose_and_invent_nothing(engine: EmbeddedEngine, rows: list[Row]) -> None:
    activity = rollups.activity(signals(engine, rows)).to_pyarrow().to_pylist()
    assert sum(row["exchanges"] for row in activity) == len(rows)
    assert sum(row["output_tokens"] for row in activity) == sum(row["output_tokens"] or 0 for row in rows)
    shown = traits(engine, rows).to_pyarrow().to_pylist()
    counted = Counter(ip=0)
    counted.update("ip" for row in rows if row["client_ip"])
    told = Counter({kind: sum(row["exchanges"] for row in shown if row["kind"] == kind) for kind in counted})
    assert told == counted
    handled = artefacts(engine, rows).to_pyarrow().to_pylist()
    issued = sum(row["exchanges"] for row in handled if row["is_issued"])
    assert issued == sum(len(set(row["reasoning_issued"] or [])) for row in rows)
