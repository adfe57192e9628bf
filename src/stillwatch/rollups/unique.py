"""One row per exchange: the same request may stand in two files, or be delivered twice.

Why:    gateways retry their log deliveries; counting twice would inflate exposure and invent templates.
Misses: the same request logged under two ids; two ids with one number, as `ingest.exchange_keys` says how seldom.
Source: own; which copy stays depends on its content only, so the order of files and rows does not matter. The hash is
        a product and the finaliser of MurmurHash3, by Austin Appleby (public domain).

An exchange is known by its number under the key. Grouping all of them to find the few that repeat costs more than
reading them: while they pass by they are kept, and sorted when all have.
"""

from dataclasses import dataclass, field

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.engines.base import IbisTable

MOST_NUMBERS = 1 << 26  # eight bytes each; of more than that all are grouped, which the engine can spill
MOST_REPEATED = 1 << 20  # of more than that all are grouped
_TIE_BREAKERS = ("started_at", "account_id", "text_id", "model", "input_tokens", "output_tokens", "client_ip")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT, _EIGHT = np.uint64(33), np.uint64(8)

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


@dataclass(slots=True)
class SeenNumbers:
    """Numbers of the exchanges seen so far, none once they are too many."""

    _parts: list[Numbers] | None = field(default_factory=list)
    _count: int = 0

    def add(self, numbers: Numbers) -> None:
        """Take in the numbers of some more exchanges."""
        self._count += len(numbers)
        if self._count > MOST_NUMBERS:
            self._parts = None
        elif self._parts is not None:
            self._parts.append(numbers)

    def repeated(self) -> Numbers | None:
        """The numbers that came more than once, sorted; null when that is not known. Forgets all of them."""
        if self._parts is None:
            return None
        numbers = np.concatenate([np.zeros(0, np.int64), *self._parts])
        self._parts = None
        numbers.sort()
        return np.unique(numbers[1:][numbers[1:] == numbers[:-1]])


def id_hashes(ids: pa.Array) -> Hashes:
    """A 64-bit hash of every id; equal on every platform."""
    rows = len(ids)
    _, offsets, data = ids.buffers()
    if not rows:
        return np.zeros(0, np.uint64)
    edges = np.frombuffer(offsets, np.int32)[ids.offset : ids.offset + rows + 1]
    text = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    edges.flags.writeable = text.flags.writeable = False  # kernels are compiled once per kind of array
    return _hashes(text, edges)


def repeated_exchanges(signals: IbisTable, among: IbisTable | None = None) -> IbisTable:
    """Numbers that occur more than once, with how many rows are surplus; `among` has all that may."""
    rows = signals if among is None else signals.semi_join(among, "exchange_key")
    counted = rows.group_by("exchange_key").aggregate(surplus=ibis._.count() - 1)
    return counted.filter(counted.surplus > 0)


def unique_exchanges(signals: IbisTable, repeated: IbisTable) -> IbisTable:
    """The signals with one row per number; of several copies the earliest stays."""
    copies = signals.semi_join(repeated, "exchange_key")
    order = [copies[name].asc(nulls_first=True) for name in _TIE_BREAKERS]
    ranked = copies.mutate(copy=ibis.row_number().over(group_by=copies.exchange_key, order_by=order))
    first = ranked.filter(ranked.copy == 0).drop("copy")
    return signals.anti_join(repeated, "exchange_key").union(first)


@njit(nogil=True, cache=True)
def _hashes(text: npt.NDArray[np.uint8], edges: npt.NDArray[np.int32]) -> Hashes:
    """Eight bytes of each text at a time, then its length."""
    made = np.empty(len(edges) - 1, np.uint64)
    for row in range(len(made)):
        first, last = edges[row], edges[row + 1]
        state = np.uint64(last - first) * _FACTOR
        for start in range(first, last, 8):
            part = np.uint64(0)
            for i in range(start, min(start + 8, last)):
                part = (part << _EIGHT) | np.uint64(text[i])
            state = (state ^ part) * _FACTOR
            state ^= state >> _SHIFT
        state = (state ^ (state >> _SHIFT)) * _MIX_1
        state = (state ^ (state >> _SHIFT)) * _MIX_2
        made[row] = state ^ (state >> _SHIFT)
    return made
