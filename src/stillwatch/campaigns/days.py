"""What units did on each of their days, and in the busiest run of so many days.

Why:    what is counted grows with time, so a campaign of three days looks small beside customers of four weeks. Every
        unit therefore counts with the busiest run of days of one length, wherever that run lies: the best of all runs
        of an ordinary unit is held against the only one that a newcomer has.
Misses: a campaign that spreads a tenth of its traffic over weeks is compared over weeks.
Source: own. A maximum over all runs of one length is the scan statistic: Naus, JASA 60 (1965), 532-538.

A length is the shortest run that holds MOST of a unit's exchanges, rounded up to one of LENGTHS, so that it moves
seldom; beyond the last of them it is the whole window.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.records import INTENTS

MOST = 0.9  # of the exchanges: stray ones before and after lengthen nothing
LENGTHS = (3, 4, 5, 6, 7, 10, 14, 21)  # days; in fewer anybody with a launch or a deadline would look like a harvest
WHOLE = 10**6  # longer than any window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """One row per unit and day with traffic, in that order: `unit` (rows,) number, `day` (rows,) since 1970.

    `exchanges` (rows,); `items` (rows,) that the unit had not sent before; `intents` (rows, intents) exchanges with
    each, whole numbers. `size` is the number of units.
    """

    unit: Ints
    day: Ints
    exchanges: Floats
    items: Floats
    intents: Counts
    size: int

    @property
    def longest(self) -> int:
        """Days from anybody's first to anybody's last; 0 where no days are known."""
        return int(self.day.max() - self.day.min() + 1) if len(self.day) else 0

    def take(self, units: Ints) -> "Days":
        """Some of the units, in the order given, numbered anew."""
        if np.array_equal(units, np.arange(self.size)):
            return self
        starts = np.searchsorted(self.unit, units)
        counts = np.searchsorted(self.unit, units, side="right") - starts
        ends = np.cumsum(counts)
        rows = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
        unit = np.repeat(np.arange(len(units)), counts)
        columns = (self.day[rows], self.exchanges[rows], self.items[rows], self.intents[rows])
        return Days(unit, *columns, size=len(units))

    def busiest(self, amounts: Floats, length: int) -> Floats:
        """The largest sum of `amounts` (rows,) in any run of `length` days of each unit: (units,)."""
        sums = np.concatenate([[0.0], np.cumsum(amounts)])
        numbers = self._numbers()
        before = np.searchsorted(numbers, np.maximum(numbers - length + 1, self.unit * WHOLE))
        return self._reduced(np.maximum, sums[1:] - sums[before], missing=0.0)

    def lengths(self) -> Ints:
        """The length of run that fits each unit, in days; WHOLE where none of LENGTHS is enough: (units,)."""
        exchanges = np.rint(self.exchanges).astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(exchanges)])
        first = np.searchsorted(self.unit, np.arange(self.size))
        total = np.bincount(self.unit, weights=exchanges, minlength=self.size)
        needed = np.ceil(MOST * total - 1e-9).astype(np.int64)[self.unit]
        # The last row that a run ending here may begin with and still hold enough.
        begins = np.searchsorted(sums, sums[1:] - needed, side="right") - 1
        enough = begins >= first[self.unit]
        shortest = np.where(enough, self.day - self.day[np.maximum(begins, 0)] + 1, WHOLE)
        fitting = np.searchsorted(LENGTHS, self._reduced(np.minimum, shortest.astype(np.float64), missing=WHOLE))
        return np.append(LENGTHS, WHOLE)[fitting]

    def _numbers(self) -> Ints:
        """One ascending number per row: units far apart, days within."""
        first = self.day.min() if len(self.day) else 0
        return np.asarray(self.unit * WHOLE + (self.day - first))

    def _reduced(self, by: np.ufunc, values: Floats, *, missing: float) -> Floats:
        found = np.full(self.size, float(missing))
        starts = np.flatnonzero(np.diff(self.unit, prepend=-1))
        if len(starts):
            found[self.unit[starts]] = by.reduceat(values, starts)
        return found


_NONE, _NOTHING = np.zeros(0, np.int64), np.zeros(0)
NO_DAYS = Days(_NONE, _NONE, _NOTHING, _NOTHING, np.zeros((0, len(INTENTS))), size=0)


def as_days(table: pa.Table, key: str) -> tuple[list[Any], Days]:
    """Each value of `key` in order, and its days; rows of key, day, exchanges, items and the intents, in any order.

    A table without the intents has none of them.
    """
    encoded = table[key].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ranked = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[ranked] = np.arange(len(names))
    unit, day = place[encoded.indices.to_numpy()], table["day"].to_numpy().astype(np.int64)
    order = np.lexsort((day, unit))
    counts = {
        name: pc.fill_null(table[name], 0).to_numpy().astype(np.float64)[order] for name in table.column_names[2:]
    }
    intents = np.zeros((len(order), len(INTENTS)))
    for column, name in enumerate(INTENTS):
        intents[:, column] = counts.get(name, 0.0)
    columns = (counts["exchanges"], counts["items"], intents)
    return [names[i] for i in ranked], Days(unit[order], day[order], *columns, size=len(names))
