"""Who uses which pairs of fingerprints, read off shelves on which the exchanges of an account stand together.

Why:    where one account comes after the other, that a sighting was said already is told by who used the pair last, and
        how many use a pair is a plain count. Neither has to be looked up by account and pair.
Misses: nothing; `sightings.Sightings` says the same of rows in any order.
Source: own.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa
from numba import njit

from stillwatch.campaigns.sightings import (
    ALONE,
    SIGHTINGS_SCHEMA,
    Bits,
    Bools,
    Ints,
    capacity_for,
    indexed,
    is_marked,
    marked,
    number_of,
)

_NOBODY = -1
_FEW = 1 << 16  # sightings there is room for at first


class Shelves(Protocol):
    """The sketches of every exchange, all of an account on one shelf."""

    @property
    def count(self) -> int:
        """How many shelves there are."""
        ...

    @property
    def names(self) -> Mapping[str, int]:
        """The number of every account by its name."""
        ...

    def sent(self, shelf: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Account number, system prompt (rows,) and sketch (rows, SKETCH_SIZE) on a shelf; its rows by account."""
        ...


class OnShelves:
    """A function from a batch of one `shelf` to who uses which of the pairs there, as `Sightings` but each once.

    `accounts` (accounts,) are what the accounts on the shelves are called in sightings, below zero for those that are
    passed over.
    """

    def __init__(self, shelves: Shelves, accounts: Ints, pairs: Ints, most: Ints | None = None) -> None:
        """Index the pairs."""
        self._shelves, self._accounts, self._pairs, self._most = shelves, accounts, pairs, most
        self._table, self._users = indexed(pairs, capacity_for(len(pairs))), np.zeros(len(pairs), np.int64)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The sightings on a shelf. Threads share the count of users; what one undoes only makes it too low."""
        numbers, prompts, sketches, order = self._shelves.sent(batch["shelf"][0].as_py())
        owners = self._accounts[numbers]
        wanted = np.ones(len(self._pairs), np.bool_) if self._most is None else self._users < self._most
        marks = marked(self._pairs[wanted], 8 * capacity_for(len(self._pairs)))
        known = (self._pairs, self._table, marks, wanted)
        found = _sighted((owners, prompts, sketches), order[owners[order] >= 0], known)
        self._users += np.bincount(found % len(self._pairs), minlength=len(self._pairs))
        return pa.RecordBatch.from_arrays([pa.array(found)], schema=SIGHTINGS_SCHEMA)


@njit(nogil=True, cache=True)
def _sighted(rows: tuple[Ints, Ints, Ints], order: Ints, known: tuple[Ints, Ints, Bits, Bools]) -> Ints:
    """The sightings in rows of one account after the other."""
    (owners, prompts, sketches), (pairs, table, marks, wanted) = rows, known
    size, latest = sketches.shape[1], np.full(len(pairs), _NOBODY, np.int64)
    found, used = np.empty(_FEW, np.int64), 0
    for row in order:
        if used + 2 * size > len(found):
            found = np.concatenate((found, np.empty_like(found)))
        for column in range(size + 1):
            first = sketches[row, column] if column < size else prompts[row]
            if first == 0 or not is_marked(first, marks):
                continue
            beside = sketches[row, column + 1] if column + 1 < size else np.int64(0)
            for place in range(1 if beside == 0 else 2):
                second = beside if place else np.int64(ALONE if column < size else 0)
                number = number_of(first, second, pairs, table)
                if number >= 0 and wanted[number] and latest[number] != owners[row]:
                    latest[number] = owners[row]
                    found[used] = owners[row] * len(pairs) + number
                    used += 1
    return found[:used].copy()
