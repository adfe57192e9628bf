from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from stillwatch import rollups
from stillwatch.engines.base import IbisTable
from stillwatch.records import ACTIVITY, arrow_schema

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]
KEY = ("account_id", "hour_at", "model", "capability")
TOKENS = ("input_tokens", "output_tokens", "reasoning_tokens")


def rolled(table: IbisTable) -> dict[tuple[Any, ...], tuple[int, ...]]:
    found = rollups.activity(table).to_pyarrow().to_pylist()
    keyed = {tuple(row[name] for name in KEY): tuple(row[name] for name in ("exchanges", *TOKENS)) for row in found}
    assert len(keyed) == len(found), "a key occurs twice"
    return keyed


def oracle(rows: list[Row]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        hour = row["started_at"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        total = sums[(row["account_id"], hour, row["model"], row.get("capability"))]
        total[0] += 1
        for i, name in enumerate(TOKENS, start=1):
            total[i] += row.get(name) or 0
    return {key: tuple(total) for key, total in sums.items()}


def test_activity_equals_sums_in_plain_python(signals: Table, rows: list[Row]) -> None:
    assert rolled(signals(rows)) == oracle(rows)


def test_activity_has_its_published_columns(signals: Table, rows: list[Row]) -> None:
    found = rollups.activity(signals(rows)).to_pyarrow()
    assert found.schema.names == list(ACTIVITY.names)
    assert found.schema.types == arrow_schema(ACTIVITY).types


@pytest.mark.parametrize("offset_hours", [-11, -3.5, 5.75, 14])
def test_the_same_instants_in_another_zone_are_the_same_activity(
    offset_hours: float, signals: Table, rows: list[Row]
) -> None:
    zone = timezone(timedelta(hours=offset_hours))
    moved = [{**row, "started_at": row["started_at"].astimezone(zone)} for row in rows]
    assert rolled(signals(moved)) == rolled(signals(rows))


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        ("2026-03-02T09:59:59.999999+00:00", "2026-03-02T09:00:00+00:00"),
        ("2026-03-02T10:00:00+00:00", "2026-03-02T10:00:00+00:00"),
        ("1969-12-31T23:30:00+00:00", "1969-12-31T23:00:00+00:00"),
    ],
)
def test_an_hour_begins_at_its_first_microsecond(moment: str, hour: str, signals: Table) -> None:
    row = {"exchange_id": "x", "account_id": "a", "model": "m", "started_at": datetime.fromisoformat(moment)}
    [(_, found, _, _)] = rolled(signals([row]))
    assert found == datetime.fromisoformat(hour)


def test_no_exchanges_are_no_activity(signals: Table) -> None:
    assert rolled(signals([])) == {}
