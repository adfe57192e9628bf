"""Which accounts use which of some wanted wordings: one pass over the sketches of all exchanges.

Why:    how rare a campaign's wordings are among everybody else decides whether they are its own. Every sketch has to be
        looked at for that, and spelling its pairs out as rows of a table takes ten times as long.
"""

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from stillwatch.engines.base import BatchFunction
from stillwatch.records import SKETCH_SIZE

Ints = NDArray[np.int64]

SIGHTINGS_SCHEMA = pa.schema([("account_id", pa.string()), ("first", pa.int64()), ("second", pa.int64())])
ALONE = -1  # beside a fingerprint that is wanted whatever stands beside it; fingerprints are positive
_FREE = -1  # of a place in a table
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplying by it spreads bits upwards


def sightings(pairs: Ints) -> BatchFunction:
    """A function from a batch of (account_id, sketch, system_prompt_id) to who uses which of the pairs.

    `pairs` (pairs, 2) are distinct: two neighbouring fingerprints, a fingerprint and ALONE, or a system prompt and
    zero. Each account and pair is said once a batch, as in SIGHTINGS_SCHEMA.
    """
    table = _indexed(pairs, _capacity(len(pairs)))

    def sighted(batch: pa.RecordBatch) -> pa.RecordBatch:
        accounts = batch["account_id"].dictionary_encode()
        prompts = batch["system_prompt_id"].fill_null(0).to_numpy()
        sketches = _matrix(batch["sketch"])
        places = _places(sketches, prompts, pairs, table)
        owner = accounts.indices.to_numpy().astype(np.int64)
        found = _distinct(places, owner, len(pairs), _capacity(int((places != _FREE).sum())))
        chosen = pairs[found % max(len(pairs), 1)]
        names = accounts.dictionary.take(pa.array(found // max(len(pairs), 1)))
        columns = [names, pa.array(chosen[:, 0]), pa.array(chosen[:, 1])]
        return pa.RecordBatch.from_arrays(columns, schema=SIGHTINGS_SCHEMA)

    return sighted


def _matrix(sketch: pa.Array) -> Ints:
    """The sketches as rows of a matrix, zeros where there is none."""
    flat = sketch.cast(pa.list_(pa.int64())).fill_null([0] * SKETCH_SIZE).flatten()
    return np.asarray(flat).reshape(-1, SKETCH_SIZE)


def _capacity(count: int) -> int:
    """Places of a table for so many values: a power of two, at most half of it in use."""
    return 1 << max(4, (2 * count - 1).bit_length())


@njit(nogil=True, cache=True)
def _place(value: np.uint64, capacity: int) -> np.int64:
    return np.int64((value * _SPREAD) >> np.uint64(33)) & np.int64(capacity - 1)


@njit(nogil=True, cache=True)
def _pair_place(first: np.int64, second: np.int64, capacity: int) -> np.int64:
    return _place(np.uint64(first) * _SPREAD + np.uint64(second), capacity)


@njit(nogil=True, cache=True)
def _indexed(pairs: Ints, capacity: int) -> Ints:
    """An open-addressing table of the numbers of the pairs: (capacity,)."""
    table = np.full(capacity, _FREE, np.int64)
    for number in range(len(pairs)):
        at = _pair_place(pairs[number, 0], pairs[number, 1], capacity)
        while table[at] != _FREE:
            at = (at + 1) & (capacity - 1)
        table[at] = number
    return table


@njit(nogil=True, cache=True)
def _number(first: np.int64, second: np.int64, pairs: Ints, table: Ints) -> np.int64:
    """The number of a pair, _FREE when it is not wanted."""
    at = _pair_place(first, second, len(table))
    while table[at] != _FREE:
        if pairs[table[at], 0] == first and pairs[table[at], 1] == second:
            return table[at]
        at = (at + 1) & (len(table) - 1)
    return np.int64(_FREE)


@njit(nogil=True, cache=True)
def _places(sketches: Ints, prompts: Ints, pairs: Ints, table: Ints) -> Ints:
    """The wanted pairs of each row: (rows, 2 SKETCH_SIZE); pairs, the system prompt, then fingerprints alone."""
    size = sketches.shape[1]
    found = np.full((len(sketches), 2 * size), _FREE, np.int64)
    last = size - 1
    for row in range(len(sketches)):
        for column in range(size):
            if sketches[row, column] != 0:
                found[row, size + column] = _number(sketches[row, column], np.int64(ALONE), pairs, table)
        for column in range(last):
            if sketches[row, column] != 0 and sketches[row, column + 1] != 0:
                found[row, column] = _number(sketches[row, column], sketches[row, column + 1], pairs, table)
        if prompts[row] != 0:
            found[row, last] = _number(prompts[row], np.int64(0), pairs, table)
    return found


@njit(nogil=True, cache=True)
def _distinct(places: Ints, owner: Ints, count: int, capacity: int) -> Ints:
    """Every owner times `count` plus pair once, in the order of first sight."""
    seen = np.full(capacity, _FREE, np.int64)
    found = np.empty(capacity, np.int64)
    used = 0
    for row in range(len(places)):
        for column in range(places.shape[1]):
            if places[row, column] == _FREE:
                continue
            value = owner[row] * count + places[row, column]
            at = _place(np.uint64(value), capacity)
            while seen[at] != _FREE and seen[at] != value:
                at = (at + 1) & (capacity - 1)
            if seen[at] == _FREE:
                seen[at] = value
                found[used] = value
                used += 1
    return found[:used]
