import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch import rollups
from stillwatch.engines.base import IbisTable

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]


def copies(rows: list[Row], seed: int) -> list[Row]:
    """The rows with every fifth delivered again, some of them later or with other content."""
    rng = random.Random(seed)
    again = [{**row, "started_at": row["started_at"] + timedelta(seconds=5)} for row in rows[::5]]
    changed = [{**row, "input_tokens": 10**6, "client_ip": "zz"} for row in rows[::10]]
    mixed = [*rows, *again, *changed, *rows[::20]]
    rng.shuffle(mixed)
    return mixed


def unique(table: IbisTable) -> list[Row]:
    found = rollups.unique_exchanges(table, rollups.repeated_ids(table)).to_pyarrow().to_pylist()
    return sorted(found, key=lambda row: row["exchange_id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_row_per_id_stays_and_it_is_the_same_in_any_order(seed: int, signals: Table, rows: list[Row]) -> None:
    found = unique(signals(copies(rows, seed)))
    assert [row["exchange_id"] for row in found] == sorted(row["exchange_id"] for row in rows)
    assert found == unique(signals(copies(rows, seed + 100)))


def test_of_several_copies_the_earliest_stays(signals: Table, rows: list[Row]) -> None:
    kept = {row["exchange_id"]: row["started_at"] for row in unique(signals(copies(rows, 4)))}
    assert kept == {row["exchange_id"]: row["started_at"] for row in rows}


def test_surplus_rows_are_counted_per_id(signals: Table, rows: list[Row]) -> None:
    mixed = copies(rows, 5)
    counts = Counter(row["exchange_id"] for row in mixed)
    found = rollups.repeated_ids(signals(mixed)).to_pyarrow().to_pylist()
    assert {row["exchange_id"]: row["surplus"] for row in found} == {k: n - 1 for k, n in counts.items() if n > 1}


def test_nothing_repeated_changes_nothing(signals: Table, rows: list[Row]) -> None:
    table = signals(rows)
    assert unique(table) == sorted(table.to_pyarrow().to_pylist(), key=lambda row: row["exchange_id"])


IDS = st.lists(st.text(max_size=20), max_size=60)


@given(IDS, st.integers(0, 60))
def test_ids_that_repeat_are_found_by_their_hashes(ids: list[str], cut: int) -> None:
    seen = rollups.SeenIds()
    for part in (ids[:cut], ids[cut:]):
        seen.add(rollups.id_hashes(pa.array(part, pa.string())))
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    assert seen.repeated().tolist() == sorted(rollups.id_hashes(pa.array(repeated, pa.string())).tolist())


@given(IDS.filter(bool))
def test_the_hash_of_an_id_does_not_depend_on_where_it_stands(ids: list[str]) -> None:
    whole = rollups.id_hashes(pa.array(["before", *ids])).tolist()
    assert whole[1:] == rollups.id_hashes(pa.array(["before", *ids]).slice(1)).tolist()
    assert whole[-1:] == rollups.id_hashes(pa.array(ids[-1:])).tolist()


def test_beyond_the_bound_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillwatch.rollups.unique.MOST_HASHES", 3)
    seen = rollups.SeenIds()
    seen.add(np.arange(3, dtype=np.uint64))
    seen.add(np.arange(1, dtype=np.uint64))
    assert seen.repeated() is None


def test_only_suspects_need_be_looked_at(signals: Table, rows: list[Row]) -> None:
    table = signals(copies(rows, 6))
    seen = rollups.SeenIds()
    seen.add(rollups.id_hashes(table.to_pyarrow()["exchange_id"].combine_chunks()))
    among = rollups.suspects(table, seen.repeated())
    whole = rollups.repeated_ids(table).to_pyarrow().sort_by("exchange_id")
    assert rollups.repeated_ids(table, ibis.memtable(among)).to_pyarrow().sort_by("exchange_id").equals(whole)
    assert sorted(among["exchange_id"].to_pylist()) == whole["exchange_id"].to_pylist()


def test_different_ids_of_one_hash_are_told_apart(signals: Table, rows: list[Row]) -> None:
    table = signals(rows)
    among = ibis.memtable(table.select("exchange_id").to_pyarrow())
    assert rollups.repeated_ids(table, among).count().to_pyarrow().as_py() == 0
