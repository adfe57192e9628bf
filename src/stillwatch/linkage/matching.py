"""The fingerprints of a vocabulary in each sketch: one pass over sketches, no table of pairs.

table       open addressing: place -> number of a fingerprint in the vocabulary, -1 where free
set id      one number per set of fingerprints, whatever their order: the mixed bits of their sum
group       fingerprints that keep one another's company, -1 for none; see `rewordings`
"""

from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]

Number = TypeVar("Number", bound=np.generic)

NO_GROUP = -1
_FREE = -1
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def matrix(column: pa.ChunkedArray | pa.Array, kind: type[Number]) -> NDArray[Number]:
    """A column of lists of one length, or of their bytes, as a matrix; rows that are null are zeros."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    dropped = column.drop_null()
    flat = _bytes(dropped).view(kind) if pa.types.is_binary(column.type) else np.asarray(dropped.flatten(), dtype=kind)
    size = len(flat) // len(dropped) if len(dropped) else 1
    if len(dropped) == len(column):
        return np.array(flat.reshape(-1, size))  # a copy may be written to, and kernels are compiled for such
    filled: NDArray[Number] = np.zeros((len(column), size), dtype=kind)
    filled[np.asarray(column.is_valid())] = flat.reshape(-1, size)
    return filled


def vectors(column: pa.Array, kind: pa.FixedSizeListType) -> pa.Array:
    """A column of the bytes of vectors as lists of this type; one of lists stays as it is."""
    if not pa.types.is_binary(column.type):
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    flat = matrix(column, kind.value_type.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind, mask=column.is_null())


def _bytes(values: pa.Array) -> NDArray[np.uint8]:
    """The bytes of all values, one after the other."""
    if not len(values):
        return np.zeros(0, np.uint8)
    _, ends, data = values.buffers()
    edges = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data, np.uint8)[edges[0] : edges[-1]]


class Vocabulary(NamedTuple):
    """Fingerprints (n,), sorted; the group of each (n,); and the table that finds them (capacity,)."""

    fingerprints: Ints
    group: Ints
    table: Ints


def indexed(fingerprints: Ints, group: Ints | None = None) -> Vocabulary:
    """The vocabulary with a table to look its fingerprints up in."""
    capacity = 1 << max(4, (2 * len(fingerprints)).bit_length())
    groups = np.full(len(fingerprints), NO_GROUP, np.int64) if group is None else group
    return Vocabulary(fingerprints, groups, _table(fingerprints, capacity))


@njit(nogil=True, cache=True)
def place(fingerprint: np.int64, capacity: int) -> np.int64:
    """Where to look for a value first in a table of so many places, a power of two."""
    return np.int64((np.uint64(fingerprint) * _SPREAD) >> np.uint64(33)) & np.int64(capacity - 1)


@njit(nogil=True, cache=True)
def _table(fingerprints: Ints, capacity: int) -> Ints:
    table = np.full(capacity, _FREE, np.int64)
    for number in range(len(fingerprints)):
        at = place(fingerprints[number], capacity)
        while table[at] != _FREE:
            at = (at + 1) & (capacity - 1)
        table[at] = number
    return table


@njit(nogil=True, cache=True)
def number_of(fingerprint: np.int64, known: Vocabulary) -> np.int64:
    """The number of a fingerprint, -1 when it is not known."""
    capacity = len(known.table)
    at = place(fingerprint, capacity)
    while known.table[at] != _FREE and known.fingerprints[known.table[at]] != fingerprint:
        at = (at + 1) & (capacity - 1)
    return known.table[at]


@njit(nogil=True, cache=True)
def numbers(sketches: Ints, known: Vocabulary, found: Ints) -> None:
    """Fill `found` (rows, size): numbers of the known fingerprints of each sketch, ascending, then -1."""
    for row in range(len(sketches)):
        used = 0
        for fingerprint in sketches[row]:
            if fingerprint == 0:
                continue
            number = number_of(fingerprint, known)
            if number == _FREE:
                continue
            slot = used
            while slot > 0 and found[row, slot - 1] > number:
                slot -= 1
            if slot > 0 and found[row, slot - 1] == number:
                continue
            for i in range(used, slot, -1):
                found[row, i] = found[row, i - 1]
            found[row, slot] = number
            used += 1
        found[row, used:] = _FREE


@njit(nogil=True, cache=True)
def set_ids(found: Ints, known: Vocabulary, ids: Ints, counts: Ints) -> None:
    """Fill `ids` and `counts` (rows,): the set id of each row of numbers, and how many there are."""
    for row in range(len(found)):
        total, count = np.uint64(0), 0
        for number in found[row]:
            if number == _FREE:
                break
            spread = np.uint64(known.fingerprints[number]) * _SPREAD
            spread = (spread ^ (spread >> np.uint64(31))) * _MIX_1
            total += spread ^ (spread >> np.uint64(27))
            count += 1
        total = (total ^ (total >> np.uint64(29))) * _MIX_2
        ids[row] = np.int64(total ^ (total >> np.uint64(32)))
        counts[row] = count


@njit(nogil=True, cache=True)
def beside(sketches: Ints, known: Vocabulary, found: Ints) -> None:
    """Fill `found` (rows, 2): numbers of the first known fingerprint without a group from either end, ascending.

    -1 where there is none, or the same.
    """
    half = sketches.shape[1] // 2
    for row in range(len(sketches)):
        found[row, :] = _FREE
        used = 0
        for end in range(2):
            for fingerprint in sketches[row, end * half : (end + 1) * half]:
                number = number_of(fingerprint, known) if fingerprint != 0 else _FREE
                if number != _FREE and known.group[number] == NO_GROUP:
                    if used == 0 or found[row, 0] != number:
                        found[row, used] = number
                        used += 1
                    break
        if used == 2 and found[row, 1] < found[row, 0]:
            found[row, 0], found[row, 1] = found[row, 1], found[row, 0]


@njit(nogil=True, cache=True)
def group_of(found: Ints, known: Vocabulary, least: int, groups: Ints) -> None:
    """Fill `groups` (rows,): the group of most fingerprints of each row, the first of equals.

    -1 where fewer than `least` are of one.
    """
    votes = np.empty(found.shape[1], np.int64)
    for row in range(len(found)):
        used = 0
        for number in found[row]:
            if number == _FREE:
                break
            if known.group[number] != NO_GROUP:
                votes[used] = known.group[number]
                used += 1
        groups[row] = NO_GROUP
        most = 0
        for i in range(used):
            same = 0
            for j in range(used):
                same += votes[j] == votes[i]
            if same > most or (same == most and votes[i] < groups[row]):
                groups[row], most = votes[i], same
        if most < least:
            groups[row] = NO_GROUP
