"""How many starts of others lie near each start of an account, at its own moment and at moments around it.

The counting behind `lockstep`: one pass over the starts asked about, each answered from a running count of the others'
starts by minute, so that the cost follows the starts and not how many others there are.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SEEN, BEFORE, AFTER, EVERYBODY, VARIANCE = range(5)  # columns of what `counted` returns
_HOUR_MIN = 60


class Asked(NamedTuple):
    """Starts to look around, row by row: `minutes[first[i] : last[i]]`, in order.

    Of them, those up to `own_last[i]` stand among the others as well and do not count.
    """

    minutes: Ints
    first: Ints
    last: Ints
    own_last: Ints


class Around(NamedTuple):
    """What lies around: running counts of the others' and of everybody's starts, from minute `origin` on.

    `usual` (60,) is the share of everybody's starts near each minute of the hour; `shifts`, half of them negative and
    first, say where chance is read off; `reach` minutes count as near.
    """

    theirs: Ints
    everybody: Ints
    origin: int
    usual: Floats
    shifts: Ints
    reach: int


def running(minutes: Ints, origin: int, length: int) -> Ints:
    """Starts before each minute from `origin` on: (length + 1,)."""
    return np.append(0, np.cumsum(np.bincount(minutes - origin, minlength=length))).astype(np.int64)


@njit(nogil=True, cache=True)
def counted(asked: Asked, around: Around, sums: Floats) -> None:
    """Fill `sums` (rows, 5): what lies near the starts of each row, added up.

    Columns: starts within reach; as many expected from the moments before, from those after, and from how everybody
    begins around then; and how far the moments vary.
    """
    shifts, reach, span = around.shifts, around.reach, -around.shifts[0]
    half = len(shifts) // 2
    flat = (2 * reach + 1) / (1 + 2 * span)
    shifted = np.empty(len(shifts))
    low, high = np.zeros(len(shifts) + 2, np.int64), np.zeros(len(shifts) + 2, np.int64)
    for row in range(len(asked.first)):
        low[:], high[:] = asked.first[row], asked.first[row]
        for i in range(asked.first[row], asked.last[row]):
            at = asked.minutes[i]
            since = at - around.origin
            for s in range(len(shifts)):
                own = _own(asked, row, low, high, s, at + shifts[s], reach)
                usual = around.usual[at % _HOUR_MIN] / around.usual[(at + shifts[s]) % _HOUR_MIN]
                shifted[s] = (_between(around.theirs, since + shifts[s], reach) - own) * usual
            near, wide = _between(around.theirs, since, reach), _between(around.theirs, since, span)
            near_all = max(_between(around.everybody, since, reach) - near, 0)
            share = (near_all + flat) / (max(_between(around.everybody, since, span) - wide, 0) + 1.0)
            near -= _own(asked, row, low, high, len(shifts), at, reach)
            wide -= _own(asked, row, low, high, len(shifts) + 1, at, span)
            mean = shifted.mean()
            sums[row, SEEN] += near
            sums[row, BEFORE] += shifted[:half].mean()
            sums[row, AFTER] += shifted[half:].mean()
            sums[row, EVERYBODY] += (wide - near) * share / (1.0 - flat) + near * max(share - flat, 0.0)
            # chance is an average of `half` counts itself
            sums[row, VARIANCE] += ((shifted - mean) ** 2).sum() / (len(shifts) - 1) * (1 + 1 / half)


@njit(nogil=True, cache=True)
def _between(upto: Ints, since: int, reach: int) -> int:
    """Starts within `reach` of a minute, from a running count."""
    most = len(upto) - 1
    return upto[min(max(since + reach + 1, 0), most)] - upto[min(max(since - reach, 0), most)]


@njit(nogil=True, cache=True)
def _own(asked: Asked, row: int, low: Ints, high: Ints, place: int, moment: int, reach: int) -> int:
    """The row's own starts near a moment; moments only grow, so the two markers of a place only move on."""
    end = asked.own_last[row]
    while low[place] < end and asked.minutes[low[place]] < moment - reach:
        low[place] += 1
    while high[place] < end and asked.minutes[high[place]] <= moment + reach:
        high[place] += 1
    return high[place] - low[place]
