"""Sightings: the pass over all sketches says the same as spelling every pair out."""

import copy
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.campaigns import sightings
from stillwatch.campaigns.sightings import ALONE, SIGHTINGS_SCHEMA, Sightings, count, matrix, recurring, tally
from stillwatch.records import SKETCH_SIZE

FINGERPRINTS = st.sampled_from([0, 1, 2, 3, -(2**63), 2**63 - 1, 1 << 33])
SKETCHES = st.one_of(st.none(), st.lists(FINGERPRINTS, min_size=SKETCH_SIZE, max_size=SKETCH_SIZE))
ROWS = st.lists(st.tuples(st.integers(0, 2), SKETCHES, st.one_of(st.none(), FINGERPRINTS)), max_size=12)
Row = tuple[int, list[int] | None, int | None]
Pair = tuple[int, int]


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    numbers, sketches, prompts = ([row[i] for row in rows] for i in range(3))
    columns = [
        pa.array(numbers, pa.int64()),
        pa.array(sketches, pa.list_(pa.int64(), SKETCH_SIZE)),
        pa.array(prompts, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, ["number", "sketch", "system_prompt_id"])


def pairs_in(sketch: list[int] | None, prompt: int | None) -> list[Pair]:
    """Every pair of one row, by the definition."""
    found = [(first, second) for first, second in pairwise(sketch or ()) if first and second]
    found += [(one, ALONE) for one in sketch or () if one]
    return found + [(prompt, 0)] * bool(prompt)


def spelt_out(rows: list[Row]) -> set[tuple[int, int, int]]:
    """Account and pair for every pair of every row."""
    return {(number, *pair) for number, sketch, prompt in rows for pair in pairs_in(sketch, prompt)}


def said(found: pa.RecordBatch, pairs: list[Pair]) -> list[tuple[int, int, int]]:
    assert found.schema == SIGHTINGS_SCHEMA
    return [(one // len(pairs), *pairs[one % len(pairs)]) for one in found["sighting"].to_pylist()]


@given(ROWS, st.sets(st.tuples(FINGERPRINTS, st.one_of(FINGERPRINTS, st.just(ALONE))), min_size=1, max_size=20))
def test_each_account_and_wanted_pair_is_said(rows: list[Row], wanted: set[Pair]) -> None:
    pairs = sorted(wanted)
    found = said(Sightings(np.array(pairs, np.int64))(batch_of(rows)), pairs)
    assert set(found) == {one for one in spelt_out(rows) if one[1:] in wanted}


def test_what_was_said_is_not_said_again_but_by_a_copy_which_remembers_nothing() -> None:
    pairs = [(1, 2), (2, 3), (3, 0)]
    rows: list[Row] = [(4, [1, 2] * (SKETCH_SIZE // 2), None), (5, None, 3)]
    look = Sightings(np.array(pairs, np.int64))
    first = said(look(batch_of(rows)), pairs)
    assert sorted(first) == [(4, 1, 2), (5, 3, 0)]
    assert said(look(batch_of(rows)), pairs) == []
    assert said(copy.copy(look)(batch_of(rows)), pairs) == first


def test_a_slice_of_a_batch_is_read_from_its_own_rows() -> None:
    rows: list[Row] = [
        (0, [1, 2] * (SKETCH_SIZE // 2), None),
        (1, None, 3),
        (2, [2, 3] * (SKETCH_SIZE // 2), 3),
    ]
    pairs = [(1, 2), (2, 3), (3, 0)]
    found = said(Sightings(np.array(pairs, np.int64))(batch_of(rows).slice(1)), pairs)
    assert set(found) == {(1, 3, 0), (2, 2, 3), (2, 3, 0)}


@given(ROWS, st.lists(st.integers(-1, 3), min_size=12, max_size=12), st.integers(1, 3), st.integers(1, 3))
def test_what_recurs_is_what_enough_accounts_use_in_enough_texts(
    rows: list[Row], texts: list[int], accounts: int, least: int
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    used_by, seen_in = defaultdict(set), defaultdict(set)
    for (number, sketch, prompt), text in zip(rows, texts, strict=False):
        for pair in pairs_in(sketch, prompt):
            used_by[pair].add(number)
            seen_in[pair] |= {text} - {-1}
    expected = sorted(p for p in used_by if len(used_by[p]) >= accounts and len(seen_in[p]) >= least)
    batch = batch_of(rows)
    columns = (
        matrix(batch["sketch"]),
        batch["system_prompt_id"].fill_null(0).to_numpy(),
        np.array([row[0] for row in rows], np.int64),
        np.array(texts[: len(rows)], np.int64),
    )
    found = recurring(*columns, least=(accounts, least))
    assert found.tolist() == [list(pair) for pair in expected]


def test_what_recurs_is_the_same_counted_in_one_part_or_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.integers(0, 60, (50, SKETCH_SIZE)), rng.integers(0, 3, 50), np.arange(50) // 5, np.arange(50) // 2)
    whole = recurring(*rows, least=(3, 3))
    monkeypatch.setattr(sightings, "_COUNTED_AT_ONCE", 32)
    assert len(whole) > 60  # fingerprints alone, and pairs besides
    np.testing.assert_array_equal(recurring(*rows, least=(3, 3)), whole)


def test_users_of_a_pair_are_counted_once_each_outside_clusters_and_by_cluster() -> None:
    clusters = np.array([-1, 2, 7, 7, -1])  # of five accounts
    said = [(0, 1), (0, 1), (1, 2), (2, 0), (2, 2), (3, 1), (3, 2), (3, 2), (4, 1)]  # account and pair
    sightings = np.array([account * 3 + pair for account, pair in said])
    for parts in ([sightings], [sightings[:5], sightings[5:]]):
        counted = tally(np.array([2, 7, 7]), np.array([1, 1, 2]), 3)
        for part in parts:
            count(part, clusters, counted)
        assert counted.users.tolist() == [1, 3, 2]  # accounts of no cluster, and clusters
        assert counted.inside.tolist() == [0, 1, 2]


@given(ROWS, st.sets(st.tuples(FINGERPRINTS, st.just(ALONE)), min_size=1, max_size=6), st.integers(1, 4))
def test_of_a_pair_that_enough_accounts_use_at_least_so_many_are_said_and_of_others_all(
    rows: list[Row], wanted: set[Pair], most: int
) -> None:
    pairs = sorted(wanted)
    look = Sightings(np.array(pairs, np.int64), np.full(len(pairs), most))
    batches = [batch_of(rows[at : at + 2]) for at in range(0, len(rows), 2)]
    found = {one for batch in batches for one in said(look(batch), pairs)}
    every = {one for one in spelt_out(rows) if one[1:] in wanted}
    assert found <= every
    for pair in pairs:
        users = sum(one[1:] == pair for one in every)
        assert sum(one[1:] == pair for one in found) >= min(most, users)


def test_what_everybody_uses_is_not_said_to_the_end_and_what_few_use_is() -> None:
    rows: list[Row] = [(account, None, 3 if account % 100 else 5) for account in range(1_000)]
    look = Sightings(np.array([(3, 0), (5, 0)]), np.array([20, 20]))
    found = [one for at in range(0, 1_000, 10) for one in said(look(batch_of(rows[at : at + 10])), [(3, 0), (5, 0)])]
    assert sum(one[1] == 5 for one in found) == 10
    assert 20 <= sum(one[1] == 3 for one in found) < 60
