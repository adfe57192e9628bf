"""Days: the busiest run and its length against plain loops, in any order of what is given."""

from collections import defaultdict
from math import ceil

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.campaigns.days import LENGTHS, MOST, NO_DAYS, WHOLE, Days, as_days
from stillwatch.records import INTENTS

Row = tuple[str, int, int, int]  # unit, day, exchanges, items
ROWS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(20_000, 20_040)),
    st.tuples(st.integers(1, 50), st.integers(0, 50)),
    min_size=1,
    max_size=40,
).map(lambda found: [(*key, *counts) for key, counts in found.items()])


def table(rows: list[Row]) -> pa.Table:
    """Rows as an engine gives them; items are null where nothing was new."""
    names, days, exchanges, items = zip(*rows, strict=True)
    counts = {name: [n * (1 + place) for n in exchanges] for place, name in enumerate(INTENTS)}
    new = [n or None for n in items]
    return pa.table({"unit": names, "day": days, "exchanges": exchanges, "items": pa.array(new, pa.int64()), **counts})


def by_unit(rows: list[Row], place: int) -> dict[str, dict[int, int]]:
    """One count of each unit by day."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        found[row[0]][row[1]] = row[place]
    return dict(sorted(found.items()))


def columns(days: Days) -> list[list[float]]:
    """All columns, to compare."""
    return [column.tolist() for column in (days.unit, days.day, days.exchanges, days.items, days.intents)]


@settings(max_examples=40)
@given(ROWS, st.integers(1, 45))
def test_the_busiest_run_is_the_largest_of_all_runs(rows: list[Row], length: int) -> None:
    _, days = as_days(table(rows), "unit")
    sums = [
        max(sum(n for day, n in each.items() if start <= day < start + length) for start in range(19_950, 20_041))
        for each in by_unit(rows, 3).values()
    ]
    assert days.busiest(days.items, length).tolist() == sums


@settings(max_examples=40)
@given(ROWS)
def test_the_length_is_that_of_the_shortest_run_with_most_exchanges_rounded_up(rows: list[Row]) -> None:
    _, days = as_days(table(rows), "unit")
    for each, length in zip(by_unit(rows, 2).values(), days.lengths().tolist(), strict=True):
        needed = ceil(MOST * sum(each.values()) - 1e-9)
        runs = [
            last - first + 1
            for first in each
            for last in each
            if sum(n for day, n in each.items() if first <= day <= last) >= needed
        ]
        assert length == next((fits for fits in LENGTHS if fits >= min(runs)), WHOLE)


@settings(max_examples=40)
@given(ROWS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_rows_does_not_matter(both: tuple[list[Row], list[Row]]) -> None:
    (names, one), (same, other) = (as_days(table(rows), "unit") for rows in both)
    assert names == same == sorted(names)
    assert columns(one) == columns(other)


@settings(max_examples=40)
@given(ROWS)
def test_each_unit_taken_alone_says_the_same(rows: list[Row]) -> None:
    names, days = as_days(table(rows), "unit")
    alone = [days.take(np.array([number])) for number in range(len(names))]
    assert [int(one.lengths()[0]) for one in alone] == days.lengths().tolist()
    assert [float(one.busiest(one.items, 3)[0]) for one in alone] == days.busiest(days.items, 3).tolist()
    assert columns(days.take(np.arange(len(names)))) == columns(days)


def test_where_no_days_are_known_there_is_nothing_to_compare() -> None:
    assert NO_DAYS.longest == 0
    assert NO_DAYS.take(np.arange(3)).busiest(np.zeros(0), 7).tolist() == [0.0] * 3
    assert NO_DAYS.lengths().tolist() == []
