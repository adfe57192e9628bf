"""Artefacts that some account sent back without having been issued them, found by hashes while the exchanges pass by.

Why:    nearly everything that is sent back is the account's own. To hold all artefacts of all accounts against one
        another as texts costs more than any other rollup, and the most memory; as hashes they are two sorted columns.
Misses: an artefact and account whose hash is that of another pair: one in ten thousand logs of fifty million exchanges
        has such a pair. Artefacts are hashed under the key before, so nobody can aim for one.
Source: own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stillwatch.engines.base import BatchFunction
from stillwatch.records import EXCHANGES
from stillwatch.rollups.unique import Hashes, id_hashes

MOST_PAIRS = 1 << 26  # issued, and sent back; 8 and 16 bytes each. Of more than that all are compared as texts
HANDLED_SCHEMA = pa.schema(
    [
        pa.field(name, EXCHANGES.column(name).type)
        for name in ("account_id", "organization_id", "started_at", "reasoning_issued", "reasoning_replayed")
    ]
)

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
        issued, replayed = (_hashed(exchanges[name]) for name in ("reasoning_issued", "reasoning_replayed"))
        self._issued.append(issued.artefacts ^ owners[issued.rows])
        self._replayed.append(replayed.artefacts ^ owners[replayed.rows])
        self._artefacts.append(replayed.artefacts)
        self._count += max(len(issued.rows), len(replayed.rows))
        if self._count > MOST_PAIRS:
            self._issued, self._replayed, self._artefacts = [], [], []

    def foreign(self) -> Hashes | None:
        """Hashes of the artefacts sent back by an account that was not issued them, sorted; null when not known.

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


def handled(foreign: Hashes) -> BatchFunction:
    """A function from a batch of signals to the exchanges with one of these artefacts (sorted) and no others in them.

    Both as in HANDLED_SCHEMA. They may hold other artefacts, of the same hash, but then all exchanges with those.
    """

    def kept(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {name: batch[name] for name in HANDLED_SCHEMA.names}
        for name in ("reasoning_issued", "reasoning_replayed"):
            columns[name] = _only(columns[name], lambda artefacts: _among(artefacts, foreign))
        rows = pc.or_(columns["reasoning_issued"].is_valid(), columns["reasoning_replayed"].is_valid())
        arrays = [
            values.filter(rows).cast(kind) for values, kind in zip(columns.values(), HANDLED_SCHEMA.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=HANDLED_SCHEMA)

    return kept


@dataclass(frozen=True, slots=True)
class _Hashed:
    """The artefacts in a column of lists, one after another: their hashes and their rows."""

    artefacts: Hashes
    rows: npt.NDArray[np.int64]


def _hashed(lists: pa.Array) -> _Hashed:
    sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    return _Hashed(id_hashes(lists.flatten()), np.repeat(np.arange(len(lists)), sizes))


def _only(lists: pa.Array, wanted: Callable[[Hashes], Flags]) -> pa.Array:
    """The lists with the wanted elements only; null where none is."""
    hashed = _hashed(lists)
    is_wanted = wanted(hashed.artefacts)
    sizes = np.bincount(hashed.rows[is_wanted], minlength=len(lists))
    offsets = pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, lists.flatten().filter(pa.array(is_wanted)), mask=pa.array(sizes == 0))


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
def _found(values: Hashes, among: Hashes) -> Flags:
    """Which values are among the others, both sorted: one step through each."""
    found, place = np.zeros(len(values), np.bool_), 0
    for i in range(len(values)):
        while place < len(among) and among[place] < values[i]:
            place += 1
        found[i] = place < len(among) and among[place] == values[i]
    return found
