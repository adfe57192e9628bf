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


def numbered(table: IbisTable) -> IbisTable:
    """The signals with a number for each exchange."""
    return table.mutate(exchange_key=table.exchange_id.substr(1).cast("int64"))


def unique(table: IbisTable) -> list[Row]:
    table = numbered(table)
    found = rollups.unique_exchanges(table, rollups.repeated_exchanges(table)).to_pyarrow().to_pylist()
    return sorted(found, key=lambda row: row["exchange_id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_row_per_id_stays_and_it_is_the_same_in_any_order(seed: int, signals: Table, rows: list[Row]) -> None:
    found = unique(signals(copies(rows, seed)))
    assert [row["exchange_id"] for row in found] == sorted(row["exchange_id"] for row in rows)
    assert found == unique(signals(copies(rows, seed + 100)))


def test_of_several_copies_the_earliest_stays(signals: Table, rows: list[Row]) -> None:
    kept = {row["exchange_id"]: row["started_at"] for row in unique(signals(copies(rows, 4)))}
    assert kept == {row["exchange_id"]: row["started_at"] for row in rows}


def test_surplus_rows_are_counted_per_exchange(signals: Table, rows: list[Row]) -> None:
    mixed = copies(rows, 5)
    counts = Counter(int(row["exchange_id"][1:]) for row in mixed)
    found = rollups.repeated_exchanges(numbered(signals(mixed))).to_pyarrow().to_pylist()
    assert {row["exchange_key"]: row["surplus"] for row in found} == {k: n - 1 for k, n in counts.items() if n > 1}


def test_nothing_repeated_changes_nothing(signals: Table, rows: list[Row]) -> None:
    table = signals(rows)
    assert unique(table) == sorted(numbered(table).to_pyarrow().to_pylist(), key=lambda row: row["exchange_id"])


IDS = st.lists(st.text(max_size=20), max_size=60)


@given(st.lists(st.integers(-30, 30), max_size=60), st.integers(0, 60))
def test_numbers_that_repeat_are_found_in_any_parts(numbers: list[int], cut: int) -> None:
    seen = rollups.SeenNumbers()
    for part in (numbers[:cut], numbers[cut:]):
        seen.add(np.array(part, np.int64))
    assert seen.repeated().tolist() == sorted(number for number, count in Counter(numbers).items() if count > 1)


@given(IDS.filter(bool))
def test_the_hash_of_an_id_does_not_depend_on_where_it_stands(ids: list[str]) -> None:
    whole = rollups.id_hashes(pa.array(["before", *ids])).tolist()
    assert whole[1:] == rollups.id_hashes(pa.array(["before", *ids]).slice(1)).tolist()
    assert whole[-1:] == rollups.id_hashes(pa.array(ids[-1:])).tolist()


def test_beyond_the_bound_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillwatch.rollups.unique.MOST_NUMBERS", 3)
    seen = rollups.SeenNumbers()
    seen.add(np.arange(3))
    seen.add(np.arange(1))
    assert seen.repeated() is None


def test_only_what_may_repeat_need_be_looked_at(signals: Table, rows: list[Row]) -> None:
    table = numbered(signals(copies(rows, 6)))
    seen = rollups.SeenNumbers()
    seen.add(table.to_pyarrow()["exchange_key"].to_numpy())
    among = ibis.memtable(pa.table({"exchange_key": seen.repeated()}))
    whole = rollups.repeated_exchanges(table).to_pyarrow().sort_by("exchange_key")
    assert whole.num_rows
    assert rollups.repeated_exchanges(table, among).to_pyarrow().sort_by("exchange_key").equals(whole)
