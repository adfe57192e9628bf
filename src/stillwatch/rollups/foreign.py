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

from stillwatch.rollups.unique import Hashes, id_hashes

MOST_PAIRS = 1 << 26  # issued, and sent back; 8 and 16 bytes each. Of more than that all are compared as texts
NUMBER_CHARS = 16  # hexadecimal digits of an artefact that are its number, 64 bits
_ZERO, _LETTERS, _FOUR = np.uint64(ord("0")), np.uint64(ord("a") - 10), np.uint64(4)

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class SeenArtefacts:
    """Hashes of what accounts were issued and sent back so far, none once they are too many."""

    _issued: list[Hashes] = field(default_factory=list)
    _replayed: list[Hashes] = field(default_factory=list)
    _artefacts: list[Hashes] = field(default_factory=list)  # of what was sent back
    _count: int = 0

    def add(self, exchanges: pa.RecordBatch) -> None:
        """Take in some more exchanges."""
        if self._count > MOST_PAIRS:
            return
        owners = _hashes_of_rows(exchanges["account_id"])
        rows, issued = _rows_and_numbers(exchanges["reasoning_issued"])
        self._issued.append(issued ^ owners[rows])
        rows, replayed = _rows_and_numbers(exchanges["reasoning_replayed"])
        self._replayed.append(replayed ^ owners[rows])
        self._artefacts.append(replayed)
        self._count += max(len(issued), len(replayed))
        if self._count > MOST_PAIRS:
            self._issued, self._replayed, self._artefacts = [], [], []

    def foreign(self) -> Hashes | None:
        """Numbers of the artefacts sent back by an account that was not issued them, sorted; null when not known.

        Forgets everything.
        """
        if self._count > MOST_PAIRS:
            return None
        issued, replayed, artefacts = map(_joined, (self._issued, self._replayed, self._artefacts))
        self._issued, self._replayed, self._artefacts = [], [], []
        issued.sort()
        pairs = np.sort(replayed)
        pairs = np.unique(pairs[~_found(pairs, issued)])
        return np.unique(artefacts[_among(replayed, pairs)])


def prefixes(foreign: Hashes) -> pa.Table:
    """The first digits of the artefacts with these numbers: one column, `prefix`."""
    return pa.table({"prefix": pa.array([f"{number:0{NUMBER_CHARS}x}" for number in foreign.tolist()], pa.string())})


def _rows_and_numbers(lists: pa.Array) -> tuple[npt.NDArray[np.int64], Hashes]:
    """The row of every artefact in a column of lists, and its number."""
    sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    artefacts = lists.flatten()
    numbers = np.zeros(len(artefacts), np.uint64)
    if len(artefacts):
        _, offsets, data = artefacts.buffers()
        edges = np.frombuffer(offsets, np.int32)[artefacts.offset : artefacts.offset + len(artefacts) + 1]
        text = np.frombuffer(data, np.uint8)
        edges.flags.writeable = text.flags.writeable = False  # kernels are compiled once per kind of array
        _read(text, edges, numbers)
    return np.repeat(np.arange(len(lists)), sizes), numbers


def _hashes_of_rows(texts: pa.Array) -> Hashes:
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return np.asarray(id_hashes(encoded.dictionary)[encoded.indices.to_numpy()])


def _joined(parts: list[Hashes]) -> Hashes:
    return np.concatenate([np.zeros(0, np.uint64), *parts])


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
def _found(values: Hashes, among: Hashes) -> Flags:
    """Which values are among the others, both sorted: one step through each."""
    found, place = np.zeros(len(values), np.bool_), 0
    for i in range(len(values)):
        while place < len(among) and among[place] < values[i]:
            place += 1
        found[i] = place < len(among) and among[place] == values[i]
    return found
