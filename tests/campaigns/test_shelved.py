"""Sightings on shelves: each account and wanted pair once, the same as of rows in any order."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.campaigns.test_sightings import FINGERPRINTS, ROWS, Pair, Row, said, spelt_out

from stillwatch.campaigns.shelved import OnShelves
from stillwatch.campaigns.sightings import ALONE
from stillwatch.linkage import shelves
from stillwatch.linkage.shelves import shelved
from stillwatch.records import SKETCH_SIZE


def table_of(rows: list[Row]) -> pa.Table:
    """The rows as signals, those without a sketch without a text too."""
    numbers, sketches, prompts = ([row[i] for row in rows] for i in range(3))
    return pa.table(
        {
            "account_id": pa.array([f"a{number}" for number in numbers], pa.string()),
            "text_id": pa.array([None if sketch is None else 7 for sketch in sketches], pa.int64()),
            "exchange_id": pa.array(range(len(rows)), pa.int64()),
            "sketch": pa.array(sketches, pa.list_(pa.int64(), SKETCH_SIZE)),
            "system_prompt_id": pa.array(prompts, pa.int64()),
        }
    )


def seen(rows: list[Row], pairs: list[Pair], *, left_out: int = -1, most: int | None = None) -> list[tuple[int, ...]]:
    """What is said of the rows, put on shelves of two rows each, without one of the accounts."""
    with TemporaryDirectory() as folder:
        held = shelved(table_of(rows).to_batches(max_chunksize=5), len(rows), Path(folder) / "shelves")
        accounts = np.array([-1 if name == f"a{left_out}" else int(name[1:]) for name in held.names], np.int64)
        limits = None if most is None else np.full(len(pairs), most)
        look = OnShelves(held, accounts, np.array(pairs, np.int64), limits)
        batches = [pa.record_batch({"shelf": [shelf]}) for shelf in range(held.count)]
        return [one for batch in batches for one in said(look(batch), pairs)]


@given(
    ROWS,
    st.sets(st.tuples(FINGERPRINTS, st.one_of(FINGERPRINTS, st.just(ALONE))), min_size=1, max_size=20),
    st.integers(-1, 2),
)
def test_each_account_and_wanted_pair_is_said_once(rows: list[Row], wanted: set[Pair], left_out: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelves, "SHELF_ROWS", 2)
        found = seen(rows, sorted(wanted), left_out=left_out)
    expected = {one for one in spelt_out(rows) if one[1:] in wanted and one[0] != left_out}
    assert sorted(found) == sorted(expected)


def test_what_everybody_uses_is_not_said_to_the_end_and_what_few_use_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "SHELF_ROWS", 10)
    rows: list[Row] = [(account, None, 3 if account % 100 else 5) for account in range(1_000)]
    found = seen(rows, [(3, 0), (5, 0)], most=20)
    assert sum(one[1] == 5 for one in found) == 10
    assert 20 <= sum(one[1] == 3 for one in found) < 60
