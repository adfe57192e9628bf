"""Which exchanges came before is found by search, and it is what a comparison of every pair finds."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillwatch.state import numbers

START = datetime(2026, 3, 1, tzinfo=UTC)
Row = tuple[int, int]  # number and day


def folder(path: Path, rows: list[Row]) -> Path:
    """A folder of parts with these exchanges."""
    path.mkdir()
    at = [START + timedelta(days=day, seconds=number % 86_400) for number, day in rows]
    ids = pa.array([number for number, _ in rows], pa.int64())
    table = pa.table({"exchange_id": ids, "started_at": pa.array(at, pa.timestamp("us", "UTC"))})
    pq.write_table(table, path / "content.parquet", row_group_size=7)
    return path


@pytest.mark.parametrize("seed", range(3))
def test_what_came_before_is_what_comparing_every_pair_finds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "MOST_ROWS", 20)
    rng = random.Random(seed)
    old = [(rng.randrange(-40, 40), rng.randrange(20)) for _ in range(60)]  # a number may stand on several days
    new = [(number, rng.randrange(20)) for number in rng.sample(range(-60, 60), 50)]
    runs = [numbers.runs(folder(tmp_path / name, rows)) for name, rows in (("new", new), ("old", old))]
    assert len(runs[1]) > 1
    wanted = sorted({n for n, day in new for other, on in old if n == other and abs(day - on) <= 7})
    assert numbers.repeated(*runs, within_days=7).tolist() == wanted
    assert wanted


def test_nothing_came_before_where_there_is_nothing(tmp_path: Path) -> None:
    some, none = numbers.runs(folder(tmp_path / "some", [(1, 0)])), numbers.runs(folder(tmp_path / "none", []))
    assert [numbers.repeated(a, b, within_days=7).tolist() for a, b in ((some, none), (none, some))] == [[], []]
    assert (numbers.days(some), numbers.days(none)) == ((20513, 20513), None)


def test_a_file_that_was_made_is_read_again_and_one_that_is_lost_is_made_again(tmp_path: Path) -> None:
    held = folder(tmp_path / "held", [(3, 0), (1, 1)])
    first = numbers.runs(held)
    content = (held / numbers.FILE).read_bytes()
    (held / numbers.FILE).unlink()
    again = numbers.runs(held)
    assert (held / numbers.FILE).read_bytes() == content
    for runs in (first, again, numbers.runs(held)):
        assert [(run.numbers.tolist(), run.days.tolist()) for run in runs] == [([1, 3], [20514, 20513])]
    assert np.all(np.diff(first[0].numbers) > 0)
