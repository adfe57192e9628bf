"""Pairs of fingerprints in many sketches: which recur in enough texts, and which accounts use the wanted ones.

Why:    how rare a campaign's wordings are among everybody else decides whether they are its own. Every sketch has to be
        looked at for that, and spelling its pairs out as rows of a table takes ten times as long. Most of what
        is looked for turns out to be everybody's, and need not be counted to the end.

What stands in a row is read off as pairs: two neighbouring fingerprints; a fingerprint and ALONE; a system prompt and
zero. Fingerprints and system prompts are never zero; zeros stand for none.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from stillwatch.records import SKETCH_SIZE

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]
Bools = NDArray[np.bool_]

SIGHTINGS_SCHEMA = pa.schema([("sighting", pa.int64())])
ALONE = -1  # beside a fingerprint that is wanted whatever stands beside it; fingerprints are positive
PAIRS = 2 * SKETCH_SIZE  # at most, of one row: neighbours, the system prompt, fingerprints alone
_FREE = -1  # of a place in a table
_NOBODY = -1
_NO_TEXT = -1
_BITS = 64
_COUNTED_AT_ONCE = 1 << 20  # pairs in one table, so that it stays at a hundred megabytes
_REMEMBERED = 1 << 23  # sightings at most: 64 megabytes
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplying by it spreads bits upwards


class Sightings:
    """A function from a batch of (number of the account, sketch, system_prompt_id) to who uses which of the pairs.

    `pairs` (pairs, 2) are distinct. A sighting is the account's number times len(pairs) plus the pair's place among
    them. Each is said at least once, by the batch it is first seen in, and seldom again: what was said last is
    remembered, as far as there is room. Of a pair that at least `most` (pairs,) accounts were said to use, no more need
    be said. A copy sent elsewhere remembers nothing.
    """

    def __init__(self, pairs: Ints, most: Ints | None = None) -> None:
        """Index the pairs."""
        self._pairs, self._most = pairs, most
        self._table = indexed(pairs, capacity_for(len(pairs)))
        self._marks = marked(pairs, 8 * capacity_for(len(pairs)))
        self._said = np.full(min(64 * capacity_for(len(pairs)), _REMEMBERED), _FREE, np.int64)
        self._users = _users(np.zeros(0, np.int64) if most is None else most)
        self._given_up = 0

    def __reduce__(self) -> tuple[type["Sightings"], tuple[Ints, Ints | None]]:
        return Sightings, (self._pairs, self._most)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The sightings in a batch."""
        sketches, prompts = matrix(batch["sketch"]), batch["system_prompt_id"].fill_null(0).to_numpy()
        self._forget()
        owners = batch["number"].to_numpy()
        found = _sighted(sketches, prompts, owners, self._pairs, self._table, self._marks, self._said, self._users)
        return pa.RecordBatch.from_arrays([pa.array(found)], schema=SIGHTINGS_SCHEMA)

    def _forget(self) -> None:
        """Look no more for pairs of which enough was said, once they are many."""
        given_up = int(np.count_nonzero(self._users.is_enough))
        if 8 * (given_up - self._given_up) > len(self._pairs) - self._given_up:
            self._given_up = given_up
            self._marks = marked(self._pairs[~self._users.is_enough], 8 * capacity_for(len(self._pairs)))


class _Users(NamedTuple):
    """Bits for the accounts that were said to use each pair, so that at least so many different ones were.

    `pairs` (pairs, 4) are, for each, the first of its `bits` (words,), how many words, how many accounts are enough,
    and how many bits are raised, roughly, as threads share them; `is_enough` (pairs,) once they surely are. Empty
    without a limit.
    """

    pairs: Ints
    bits: Bits
    is_enough: Bools


def _users(most: Ints) -> _Users:
    """Nobody yet; a pair has two to four bits for each account that is enough, as two accounts may share one."""
    words = 1 << np.ceil(np.log2(np.maximum(2 * most / _BITS, 1))).astype(np.int64)
    pairs = np.stack([np.cumsum(words) - words, words, most, np.zeros(len(most), np.int64)], axis=1)
    return _Users(pairs, np.zeros(words.sum(), np.uint64), np.zeros(len(most), np.bool_))


def recurring(
    sketches: Ints, prompts: Ints, accounts: Ints, texts: Ints, *, least: tuple[int, int], threads: int = 1
) -> Ints:
    """The pairs that at least so many accounts use in at least so many texts, in order: (pairs, 2).

    Rows are those of one account after those of another; `texts` numbers whole texts, below zero for none.
    """
    parts = 1 << (PAIRS * len(sketches) // _COUNTED_AT_ONCE).bit_length()
    ends = np.cumsum(_counts(sketches, prompts, parts))
    places = np.split(_parted(sketches, prompts, ends), ends[:-1])
    rows = (sketches, prompts, accounts, texts)
    if len(places) == 1:
        pairs = _recurring(*rows, places[0], capacity_for(len(places[0])), least)
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(lambda of: _recurring(*rows, of, capacity_for(len(of)), least), places)
            pairs = np.concatenate(list(found))
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])


class Tally(NamedTuple):
    """Who uses each pair, as far as it was counted, for candidates that are a `cluster` and a `pair` (candidates,).

    Candidates are in order. `users` (pairs,) are accounts of no cluster, and clusters with a member who does; `inside`
    (candidates,) members of the candidate's own. `latest` (pairs,) is the cluster that was counted last for each, and
    `place` (pairs,) its candidate.
    """

    cluster: Ints
    pair: Ints
    users: Ints
    inside: Ints
    latest: Ints
    place: Ints


def tally(cluster: Ints, pair: Ints, pairs: int) -> Tally:
    """Nobody yet."""
    nobody = np.full((2, pairs), _NOBODY, np.int64)
    return Tally(cluster, pair, np.zeros(pairs, np.int64), np.zeros(len(pair), np.int64), *nobody)


@njit(nogil=True, cache=True)
def count(said: Ints, clusters: Ints, of: Tally) -> None:
    """Count sorted sightings of some accounts.

    `clusters` (accounts,) are below zero for an account in none; those of one cluster stand one after the other.
    """
    owner, previous, pairs = 0, np.int64(_FREE), len(of.users)
    for value in said:
        if value == previous:
            continue
        previous = value
        while value >= (owner + 1) * pairs:
            owner += 1
        pair, cluster = value - owner * pairs, clusters[owner]
        if cluster < 0:
            of.users[pair] += 1
            continue
        if of.latest[pair] != cluster:
            of.latest[pair], of.place[pair] = cluster, _candidate(cluster, pair, of)
            of.users[pair] += 1
        if of.place[pair] >= 0:
            of.inside[of.place[pair]] += 1


@njit(nogil=True, cache=True)
def _candidate(cluster: np.int64, pair: np.int64, of: Tally) -> np.int64:
    """The place of a candidate, below zero when it is none."""
    low, high = 0, len(of.pair)
    while low < high:
        middle = (low + high) // 2
        if of.cluster[middle] < cluster or (of.cluster[middle] == cluster and of.pair[middle] < pair):
            low = middle + 1
        else:
            high = middle
    is_one = low < len(of.pair) and of.cluster[low] == cluster and of.pair[low] == pair
    return np.int64(low if is_one else _NOBODY)


def matrix(sketch: pa.Array | pa.ChunkedArray) -> Ints:
    """The sketches, lists or their bytes, as rows of a matrix, zeros where there is none."""
    whole = sketch.combine_chunks() if isinstance(sketch, pa.ChunkedArray) else sketch
    if pa.types.is_binary(whole.type):
        size = 8 * SKETCH_SIZE
        flat = whole.fill_null(bytes(size)).cast(pa.binary(size))
        return np.frombuffer(flat.buffers()[1], np.int64)[: len(flat) * SKETCH_SIZE].reshape(-1, SKETCH_SIZE)
    told = np.asarray(whole.flatten()).astype(np.int64, copy=False).reshape(-1, SKETCH_SIZE)
    if len(told) == len(whole):
        return told
    every = np.zeros((len(whole), SKETCH_SIZE), np.int64)
    every[whole.is_valid().to_numpy(zero_copy_only=False)] = told
    return every


def capacity_for(count: int) -> int:
    """Places of a table for so many values: a power of two, at most half of it in use."""
    return 1 << max(4, (2 * count - 1).bit_length())


@njit(nogil=True, cache=True)
def _place(value: np.uint64, capacity: int) -> np.int64:
    return np.int64((value * _SPREAD) >> np.uint64(33)) & np.int64(capacity - 1)


@njit(nogil=True, cache=True)
def _hash(first: np.int64, second: np.int64) -> np.uint64:
    return np.uint64(first) * _SPREAD + np.uint64(second)


@njit(nogil=True, cache=True)
def _pair(sketches: Ints, prompts: Ints, row: int, column: int) -> tuple[np.int64, np.int64]:
    """One of the pairs of a row; the first of none is zero."""
    last = sketches.shape[1] - 1
    if column > last:
        return sketches[row, column - last - 1], np.int64(ALONE)
    if column == last:
        return prompts[row], np.int64(0)
    if sketches[row, column + 1] == 0:
        return np.int64(0), np.int64(0)
    return sketches[row, column], sketches[row, column + 1]


@njit(nogil=True, cache=True)
def indexed(pairs: Ints, capacity: int) -> Ints:
    """An open-addressing table of the numbers of the pairs: (capacity,)."""
    table = np.full(capacity, _FREE, np.int64)
    for number in range(len(pairs)):
        at = _place(_hash(pairs[number, 0], pairs[number, 1]), capacity)
        while table[at] != _FREE:
            at = (at + 1) & (capacity - 1)
        table[at] = number
    return table


@njit(nogil=True, cache=True)
def marked(pairs: Ints, capacity: int) -> Bits:
    """A bit at the place of what stands first in a pair: most that is looked at stands first in none."""
    marks = np.zeros(capacity // _BITS + 1, np.uint64)
    for number in range(len(pairs)):
        at = _place(np.uint64(pairs[number, 0]), capacity)
        marks[at // _BITS] |= np.uint64(1) << np.uint64(at % _BITS)
    return marks


@njit(nogil=True, cache=True)
def is_marked(first: np.int64, marks: Bits) -> np.bool_:
    """Whether a value may stand first in a pair."""
    at = _place(np.uint64(first), (len(marks) - 1) * _BITS)
    return (marks[at // _BITS] >> np.uint64(at % _BITS)) & np.uint64(1) != 0


@njit(nogil=True, cache=True)
def number_of(first: np.int64, second: np.int64, pairs: Ints, table: Ints) -> np.int64:
    """The number of a pair, _FREE when it is not wanted."""
    at = _place(_hash(first, second), len(table))
    while table[at] != _FREE:
        if pairs[table[at], 0] == first and pairs[table[at], 1] == second:
            return table[at]
        at = (at + 1) & (len(table) - 1)
    return np.int64(_FREE)


@njit(nogil=True, cache=True)
def _sighted(
    sketches: Ints, prompts: Ints, owners: Ints, pairs: Ints, table: Ints, marks: Bits, said: Ints, users: _Users
) -> Ints:
    """The sightings that were not said lately, and notes them as said.

    Threads share `said`. A place holds whatever one of them wrote last, and nothing is left out that none has said.
    """
    size, is_limited = sketches.shape[1], len(users.pairs) > 0
    found, used = np.empty(len(sketches) * 2 * size, np.int64), 0
    for row in range(len(sketches)):
        for column in range(size + 1):
            first = sketches[row, column] if column < size else prompts[row]
            if first == 0 or not is_marked(first, marks):
                continue
            for beside in range(2 if column < size else 1):
                second = np.int64(0) if column == size else np.int64(ALONE)
                if beside:
                    second = sketches[row, column + 1] if column + 1 < size else np.int64(0)
                    if second == 0:
                        continue
                number = number_of(first, second, pairs, table)
                if number == _FREE or (is_limited and users.is_enough[number]):
                    continue
                value = np.int64(owners[row]) * len(pairs) + number
                at = _place(np.uint64(value), len(said))
                if said[at] != value:
                    said[at] = value
                    found[used] = value
                    used += 1
                    if is_limited:
                        _met(np.int64(owners[row]), number, users)
    return found[:used].copy()


@njit(nogil=True, cache=True)
def _met(owner: np.int64, number: np.int64, users: _Users) -> None:
    """Raise the bit of an account that was said to use a pair.

    A thread may undo what another raised, and the count is too high then. What is counted again bit by bit never is.
    """
    start, words, enough = users.pairs[number, 0], users.pairs[number, 1], users.pairs[number, 2]
    at = _place(np.uint64(owner), words * _BITS)
    bit = np.uint64(1) << np.uint64(at % _BITS)
    if users.bits[start + at // _BITS] & bit:
        return
    users.bits[start + at // _BITS] |= bit
    users.pairs[number, 3] += 1
    if users.pairs[number, 3] >= enough:
        count = _raised(users.bits[start : start + words])
        users.pairs[number, 3], users.is_enough[number] = count, count >= enough


@njit(nogil=True, cache=True)
def _raised(bits: Bits) -> np.int64:
    """How many bits are raised."""
    count = np.int64(0)
    for word in bits:
        left = word
        while left:
            left &= left - np.uint64(1)
            count += 1
    return count


@njit(nogil=True, cache=True)
def _part(first: np.int64, second: np.int64, parts: int) -> np.int64:
    """Which part a pair is counted in, by other bits than those of its place."""
    return np.int64(_hash(first, second) >> np.uint64(40)) & np.int64(parts - 1)


@njit(nogil=True, cache=True)
def _counts(sketches: Ints, prompts: Ints, parts: int) -> Ints:
    """How many pairs of each part stand in the rows: (parts,)."""
    counts = np.zeros(parts, np.int64)
    for row in range(len(sketches)):
        for column in range(2 * sketches.shape[1]):
            first, second = _pair(sketches, prompts, row, column)
            if first != 0:
                counts[_part(first, second, parts)] += 1
    return counts


@njit(nogil=True, cache=True)
def _parted(sketches: Ints, prompts: Ints, ends: Ints) -> Ints:
    """Where the pairs stand, those of one part together and in order: row times PAIRS plus column, (pairs,).

    `ends` (parts,) says where each part ends.
    """
    places, at = np.empty(ends[-1], np.int64), np.zeros(len(ends), np.int64)
    at[1:] = ends[:-1]
    for row in range(len(sketches)):
        for column in range(2 * sketches.shape[1]):
            first, second = _pair(sketches, prompts, row, column)
            if first != 0:
                part = _part(first, second, len(ends))
                places[at[part]] = row * 2 * sketches.shape[1] + column
                at[part] += 1
    return places


@njit(nogil=True, cache=True)
def _recurring(
    sketches: Ints, prompts: Ints, accounts: Ints, texts: Ints, places: Ints, capacity: int, least: tuple[int, int]
) -> Ints:
    """The pairs at these places that recur, in no order: (pairs, 2).

    Of each pair the texts that it was first seen in are kept, as many as are asked for, the rest of the row no text.
    """
    keys = np.zeros((capacity, 2), np.int64)  # a first of zero is a free place
    latest, used_by = np.full(capacity, _NOBODY, np.int32), np.zeros(capacity, np.int32)
    seen_in = np.full((capacity, least[1]), _NO_TEXT, np.int32)
    for place in places:
        row = place // (2 * sketches.shape[1])
        first, second = _pair(sketches, prompts, row, place % (2 * sketches.shape[1]))
        at = _place(_hash(first, second), capacity)
        while keys[at, 0] != 0 and (keys[at, 0] != first or keys[at, 1] != second):
            at = (at + 1) & (capacity - 1)
        keys[at, 0], keys[at, 1] = first, second
        if latest[at] != accounts[row]:
            latest[at] = accounts[row]
            used_by[at] += 1
        if texts[row] != _NO_TEXT:
            _note(seen_in[at], texts[row])
    return keys[(used_by >= least[0]) & (seen_in[:, -1] != _NO_TEXT)]


@njit(nogil=True, cache=True)
def _note(seen: NDArray[np.int32], text: int) -> None:
    """Write the text down, where it is new and there is room."""
    for place in range(len(seen)):
        if seen[place] == text:
            return
        if seen[place] == _NO_TEXT:
            seen[place] = text
            return
