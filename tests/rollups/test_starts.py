"""Session starts: an exchange after ten minutes of silence, by minute, whatever the order of the rows."""

from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa

from stillwatch.rollups import session_starts, sessions
from stillwatch.rollups.starts import SILENCE_S

BEGAN = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def rows(moments: list[tuple[str, int]]) -> pa.Table:
    at = [BEGAN + timedelta(seconds=second) for _, second in moments]
    return pa.table(
        {"account_id": [name for name, _ in moments], "started_at": pa.array(at, pa.timestamp("us", tz="UTC"))}
    )


def begun(moments: list[tuple[str, int]]) -> set[tuple[str, int]]:
    found = session_starts(sessions(ibis.memtable(rows(moments)))).to_pyarrow()
    first = int(BEGAN.timestamp()) // 60
    return {
        (name, minute - first) for name, minute in zip(*(column.to_pylist() for column in found.columns), strict=True)
    }


def test_a_session_begins_after_a_silence() -> None:
    assert begun([("a", 0), ("a", SILENCE_S), ("a", 2 * SILENCE_S + 1), ("b", 60)]) == {("a", 0), ("a", 20), ("b", 1)}


def test_starts_agree_with_a_plain_walk_through_time() -> None:
    rng = np.random.default_rng(0)
    moments = [(f"a{rng.integers(5)}", int(rng.integers(86_400))) for _ in range(400)]
    expected, last = set(), {}
    for name, second in sorted(moments, key=lambda row: row[1]):
        if name not in last or second - last[name] > SILENCE_S:
            expected.add((name, (30 + second) // 60))
        last[name] = second
    assert begun(moments) == expected
