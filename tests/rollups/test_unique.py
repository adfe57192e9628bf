import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

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
