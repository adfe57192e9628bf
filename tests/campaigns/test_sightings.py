"""Sightings: the pass over all sketches says the same as spelling every pair out."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.campaigns.sightings import SIGHTINGS_SCHEMA, sightings
from stillwatch.records import SKETCH_SIZE

FINGERPRINTS = st.sampled_from([0, 1, 2, 3, -(2**63), 2**63 - 1, 1 << 33])
SKETCHES = st.one_of(st.none(), st.lists(FINGERPRINTS, min_size=SKETCH_SIZE, max_size=SKETCH_SIZE))
ROWS = st.lists(st.tuples(st.sampled_from("abc"), SKETCHES, st.one_of(st.none(), FINGERPRINTS)), max_size=12)
Pair = tuple[int, int]


def batch_of(rows: list[tuple[str, list[int] | None, int | None]]) -> pa.RecordBatch:
    names, sketches, prompts = ([row[i] for row in rows] for i in range(3))
    columns = [
        pa.array(names, pa.string()),
        pa.array(sketches, pa.list_(pa.int64(), SKETCH_SIZE)),
        pa.array(prompts, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, ["account_id", "sketch", "system_prompt_id"])


def spelt_out(rows: list[tuple[str, list[int] | None, int | None]]) -> list[tuple[str, int, int]]:
    """Account and pair for every pair of every row, by the definition."""
    said = [
        (account, first, second)
        for account, sketch, _ in rows
        for first, second in pairwise(sketch or ())
        if first and second
    ]
    return said + [(account, prompt, 0) for account, _, prompt in rows if prompt]


@given(ROWS, st.sets(st.tuples(FINGERPRINTS, FINGERPRINTS), max_size=20))
def test_each_account_and_wanted_pair_is_said_once(
    rows: list[tuple[str, list[int] | None, int | None]], wanted: set[Pair]
) -> None:
    pairs = np.array(sorted(wanted), np.int64).reshape(-1, 2)
    found = sightings(pairs)(batch_of(rows))
    assert found.schema == SIGHTINGS_SCHEMA
    said = list(zip(*(found[name].to_pylist() for name in SIGHTINGS_SCHEMA.names), strict=True))
    assert sorted(said) == sorted({one for one in spelt_out(rows) if one[1:] in wanted})


def test_a_slice_of_a_batch_is_read_from_its_own_rows() -> None:
    rows: list[tuple[str, list[int] | None, int | None]] = [
        ("a", [1, 2] * (SKETCH_SIZE // 2), None),
        ("b", None, 3),
        ("c", [2, 3] * (SKETCH_SIZE // 2), 3),
    ]
    pairs = np.array([[1, 2], [2, 3], [3, 0]], np.int64)
    found = sightings(pairs)(batch_of(rows).slice(1)).to_pylist()
    assert {(row["account_id"], row["first"]) for row in found} == {("b", 3), ("c", 2), ("c", 3)}
