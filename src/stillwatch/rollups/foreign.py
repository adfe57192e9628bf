"""Artefacts that some account sent back without having been issued them, found by hashes while the exchanges pass by.

Why:    nearly everything that is sent back is the account's own. To hold all artefacts of all accounts against one
        another as texts costs more than any other rollup, and the most memory; as hashes they are two sorted columns.
Misses: an artefact and account whose hash is that of another pair: one in ten thousand logs of fifty million exchanges
        has such a pair. Artefacts are hashed under the key before, so nobody can aim for one.
Source: own.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stillwatch.rollups.unique import Hashes, Numbers, id_hashes

MOST_PAIRS = 1 << 25  # issued, and sent back; 24 bytes each. Of more than that all are compared as texts
NUMBER_CHARS = 16  # hexadecimal digits of an artefact that are its number, 64 bits
ARTEFACT_BYTES = 16  # of a whole artefact, two digits each
_ZERO, _LETTERS, _FOUR = np.uint64(ord("0")), np.uint64(ord("a") - 10), np.uint64(4)
_NIBBLES = np.array([int(chr(c), 16) if chr(c) in "0123456789abcdef" else 0 for c in range(256)], np.uint8)
_NO_BYTES, _NO_EDGES = np.frombuffer(b"\0", np.uint8), np.frombuffer(bytes(4), np.int32)  # read-only, as the others

Flags = npt.NDArray[np.bool_]
_Handed = tuple[Hashes, Hashes, Numbers]  # of artefacts: with its account, alone, and the exchange it stands in


@dataclass(frozen=True, slots=True)
class Foreign:
    """Numbers of artefacts sent back by an account that was not issued them, and of the exchanges they stand in."""

    artefacts: Hashes  # sorted
    exchanges: Numbers


@dataclass(slots=True)
class SeenArtefacts:
    """What accounts were issued and sent back so far, as hashes; nothing once it is too much."""

    _issued: list[_Handed] = field(default_factory=list)
    _replayed: list[_Handed] = field(default_factory=list)
    _count: int = 0

    def add(self, signals: pa.RecordBatch) -> None:
        """Take in the signals of some more exchanges, with their `exchange_key`."""
        if self._count > MOST_PAIRS:
            return
        owners = _hashes_of_rows(signals["account_id"])
        keys = signals["exchange_key"].to_numpy()
        for name, held in (("reasoning_issued", self._issued), ("reasoning_replayed", self._replayed)):
            rows, numbers = _rows_and_numbers(signals[name])
            held.append((numbers ^ owners[rows], numbers, keys[rows]))
        self._count += max(len(held[-1][0]) for held in (self._issued, self._replayed))
        if self._count > MOST_PAIRS:
            self._issued, self._replayed = [], []

    def foreign(self) -> Foreign | None:
        """The artefacts sent back by an account that was not issued them; null when not known.

        Forgets everything.
        """
        if self._count > MOST_PAIRS:
            return None
        issued, replayed = _joined(self._issued), _joined(self._replayed)
        self._issued, self._replayed = [], []
        pairs = np.sort(replayed[0])
        pairs = np.unique(pairs[~_found(pairs, np.sort(issued[0]))])
        artefacts = np.unique(replayed[1][_among(replayed[0], pairs)])
        exchanges = [keys[_among(numbers, artefacts)] for _, numbers, keys in (issued, replayed)]
        return Foreign(artefacts, np.unique(np.concatenate(exchanges)))


def artefact_bytes(lists: pa.Array) -> pa.Array:
    """Each list of artefacts as the bytes that their digits spell, one after the other, those that repeat left out."""
    sizes, text, edges = _flat(lists)
    made, ends = np.empty(len(edges) * ARTEFACT_BYTES, np.uint8), np.zeros(len(lists) + 1, np.int32)
    _pack(text, edges, sizes, made, ends)
    is_valid = pa.py_buffer(np.packbits(lists.is_valid(), bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), len(lists), [is_valid, pa.py_buffer(ends), pa.py_buffer(made)])


def prefixes(artefacts: Hashes) -> pa.Table:
    """The first digits of the artefacts with these numbers: one column, `prefix`."""
    return pa.table({"prefix": pa.array([f"{number:0{NUMBER_CHARS}x}" for number in artefacts.tolist()], pa.string())})


def _rows_and_numbers(lists: pa.Array) -> tuple[npt.NDArray[np.int64], Hashes]:
    """The row of every artefact in a column of lists, and its number."""
    sizes, text, edges = _flat(lists)
    numbers = np.zeros(len(edges) - 1, np.uint64)
    _read(text, edges, numbers)
    return np.repeat(np.arange(len(lists)), sizes), numbers


def _flat(lists: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """How many artefacts each list has, the text of all, and where each begins and the last one ends."""
    sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    artefacts = lists.flatten()
    if not len(artefacts):
        return sizes, _NO_BYTES, _NO_EDGES
    _, offsets, data = artefacts.buffers()
    edges = np.frombuffer(offsets, np.int32)[artefacts.offset : artefacts.offset + len(artefacts) + 1]
    text = np.frombuffer(data, np.uint8)
    edges.flags.writeable = text.flags.writeable = False  # kernels are compiled once per kind of array
    return sizes, text, edges


def _hashes_of_rows(texts: pa.Array) -> Hashes:
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return np.asarray(id_hashes(encoded.dictionary)[encoded.indices.to_numpy()])


def _joined(parts: list[_Handed]) -> _Handed:
    nothing = (np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
    pairs, numbers, keys = (np.concatenate(held) for held in zip(nothing, *parts, strict=True))
    return pairs, numbers, keys


def _among(values: Hashes, few: Hashes) -> Flags:
    """Which values are among a few, sorted."""
    if not len(few):
        return np.zeros(len(values), np.bool_)
    return np.asarray(few[np.minimum(np.searchsorted(few, values), len(few) - 1)] == values)


@njit(nogil=True, cache=True)
def _read(text: npt.NDArray[np.uint8], edges: npt.NDArray[np.int32], numbers: Hashes) -> None:
    """The first NUMBER_CHARS hexadecimal digits, in lower case, of each text."""
    for row in range(len(numbers)):
        number = np.uint64(0)
        for i in range(edges[row], min(edges[row] + NUMBER_CHARS, edges[row + 1])):
            digit = np.uint64(text[i])
            number = (number << _FOUR) | (digit - (_LETTERS if digit >= _LETTERS else _ZERO))
        numbers[row] = number


@njit(nogil=True, cache=True)
def _pack(
    text: npt.NDArray[np.uint8],
    edges: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int64],
    made: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int32],
) -> None:
    """Write the bytes of the texts, ARTEFACT_BYTES each, and where each list ends."""
    used, item = 0, 0
    for row in range(len(sizes)):
        first = used
        for _ in range(sizes[row]):
            start = edges[item]
            for k in range(ARTEFACT_BYTES):
                made[used + k] = (_NIBBLES[text[start + 2 * k]] << 4) | _NIBBLES[text[start + 2 * k + 1]]
            item += 1
            if not _stands_in(made, first, used):
                used += ARTEFACT_BYTES
        ends[row + 1] = used


@njit(nogil=True, cache=True)
def _stands_in(made: npt.NDArray[np.uint8], first: int, last: int) -> bool:
    """Whether what was written at `last` was written between `first` and there already."""
    for start in range(first, last, ARTEFACT_BYTES):
        k = 0
        while k < ARTEFACT_BYTES and made[start + k] == made[last + k]:
            k += 1
        if k == ARTEFACT_BYTES:
            return True
    return False


@njit(nogil=True, cache=True)
def _found(values: Hashes, among: Hashes) -> Flags:
    """Which values are among the others, both sorted: one step through each."""
    found, place = np.zeros(len(values), np.bool_), 0
    for i in range(len(values)):
        while place < len(among) and among[place] < values[i]:
            place += 1
        found[i] = place < len(among) and among[place] == values[i]
    return found
