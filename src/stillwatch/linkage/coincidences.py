"""How many starts of others lie near each start of an account, at its own moment and at moments around it.

The counting behind `lockstep`: one pass over the starts asked about, each answered from a running count of the others'
starts by minute, so that the cost follows the starts and not how many others there are.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SEEN, BEFORE, AFTER, EVERYBODY, VARIANCE = range(5)  # columns of what `counted` returns
HOUR_MIN = 60


class Asked(NamedTuple):
    """Accounts asked about, set by set.

    The others of set s are `others[first_other[s] : first_other[s + 1]]`, and the rows from `first_row[s]` to before
    `first_row[s + 1]` ask for them: `account` (rows,), who does not count as another where it is in the set itself.
    Rows of one `unit` (rows,), a number that does not fall, stand for one answer: where they see fewer than `least`
    together, chance is not worked out and stays zero.
    """

    others: Ints
    first_other: Ints
    account: Ints
    first_row: Ints
    unit: Ints
    least: int


class Known(NamedTuple):
    """Starts of all accounts: `minutes[first[a] : last[a]]` of account a, in order, and what lies around.

    `everybody` is a running count of all starts from minute `origin` on, with a margin on both sides that no moment
    around a start leaves. `ratio` (60, shifts) is how much commoner starts are at a minute of the hour than at that
    minute shifted; `shifts`, half of them negative and first, say where chance is read off; `reach` minutes are near.
    """

    minutes: Ints
    first: Ints
    everybody: Counts
    origin: int
    ratio: Floats
    shifts: Ints
    reach: int


def running(minutes: Ints, margin: int) -> tuple[Counts, int]:
    """Starts before each minute, from `margin` before the first to as long after the last; and the minute it begins."""
    if not len(minutes):
        return np.zeros(1, np.int32), 0
    origin = int(minutes.min()) - margin
    length = int(minutes.max()) - origin + margin + 1
    return np.append(0, np.cumsum(np.bincount(minutes - origin, minlength=length))).astype(np.int32), origin


@njit(nogil=True, cache=True)
def repeats(account: Ints, place: Ints, account_count: int, size: int) -> Ints:
    """How many of an account's places, from 0 to before `size`, are as near as one to each, itself included: (starts,).

    `account` (starts,) is in order. The last place of an account is next to the first of the account after it.
    """
    at_first, at_last = np.zeros(account_count + 2, np.int64), np.zeros(account_count + 2, np.int64)
    for i in range(len(account)):
        at_first[account[i] + 1] += place[i] == 0
        at_last[account[i] + 1] += place[i] == size - 1
    count, found = np.zeros(size + 2, np.int64), np.empty(len(account), np.int64)
    first = 0
    while first < len(account):
        last = first
        while last < len(account) and account[last] == account[first]:
            count[place[last] + 1] += 1
            last += 1
        count[0], count[size + 1] = at_last[account[first]], at_first[account[first] + 2]
        for i in range(first, last):
            found[i] = count[place[i]] + count[place[i] + 1] + count[place[i] + 2]
        for i in range(first, last):
            count[place[i] + 1] = 0
        first = last
    return found


@njit(nogil=True, cache=True)
def counted(known: Known, asked: Asked, sums: Floats, first: int, last: int) -> None:
    """Fill `sums` (rows, 5) for sets from `first` to before `last`: what lies near the starts of each row, added up.

    Columns: starts within reach; as many expected from the moments before, from those after, and from how everybody
    begins around then; and how far the moments vary.
    """
    theirs = np.zeros(len(known.everybody), np.int32)
    is_in = np.full(len(known.first) - 1, -1, np.int64)
    for one in range(first, last):
        row, stop = asked.first_row[one], asked.first_row[one + 1]
        if row == stop:
            continue
        _gather(known, asked, one, theirs, is_in)
        while row < stop:
            end, seen = row, 0
            while end < stop and asked.unit[end] == asked.unit[row]:
                account = asked.account[end]
                near = _near(known, account, is_in[account] == one, theirs)
                sums[end, SEEN] = near
                seen += near
                end += 1
            if seen >= asked.least:
                for i in range(row, end):
                    _expect(known, asked.account[i], is_in[asked.account[i]] == one, theirs, sums[i])
            row = end


@njit(nogil=True, cache=True)
def _gather(known: Known, asked: Asked, one: int, theirs: Counts, is_in: Ints) -> None:
    """The running count of the starts of a set, and who is in it."""
    theirs[:] = 0
    for place in range(asked.first_other[one], asked.first_other[one + 1]):
        other = asked.others[place]
        is_in[other] = one
        for i in range(known.first[other], known.first[other + 1]):
            theirs[known.minutes[i] - known.origin + 1] += 1
    total = np.int32(0)
    for minute in range(len(theirs)):
        total += theirs[minute]
        theirs[minute] = total


@njit(nogil=True, cache=True)
def _near(known: Known, account: int, is_own: bool, theirs: Counts) -> int:
    """Starts of a set within reach of those of an account, its own left out."""
    first, last = known.first[account], known.first[account + 1]
    near, low, high = 0, first, first
    for i in range(first, last):
        near += _between(theirs, known.minutes[i] - known.origin, known.reach)
        if is_own:
            low, high = _moved(known.minutes, low, high, last, known.minutes[i], known.reach)
            near -= high - low
    return near


@njit(nogil=True, cache=True)
def _expect(known: Known, account: int, is_own: bool, theirs: Counts, sums: Floats) -> None:
    """Add to `sums` (5,) what chance would bring near the starts of an account, but for SEEN."""
    first, last = known.first[account], known.first[account + 1]
    shifts, reach, span = known.shifts, known.reach, -known.shifts[0]
    half, flat = len(shifts) // 2, (2 * reach + 1) / (1 + 2 * span)
    shifted = np.empty(len(shifts))
    low, high = first, first  # the account's own starts that a moment around a start may be near
    for i in range(first, last):
        at = known.minutes[i]
        since = at - known.origin
        if is_own:
            low, high = _moved(known.minutes, low, high, last, at, span + reach)
        before, after = 0.0, 0.0
        for s in range(len(shifts)):
            count = _between(theirs, since + shifts[s], reach)
            if is_own:
                count -= _own(known.minutes, low, high, at + shifts[s], reach)
            shifted[s] = count * known.ratio[at % HOUR_MIN, s]
            if s < half:
                before += shifted[s]
            else:
                after += shifted[s]
        near, wide = _between(theirs, since, reach), _between(theirs, since, span)
        near_all = max(_between(known.everybody, since, reach) - near, 0)
        share = (near_all + flat) / (max(_between(known.everybody, since, span) - wide, 0) + 1.0)
        if is_own:
            near -= _own(known.minutes, low, high, at, reach)
            wide -= _own(known.minutes, low, high, at, span)
        sums[BEFORE] += before / half
        sums[AFTER] += after / half
        sums[EVERYBODY] += (wide - near) * share / (1.0 - flat) + near * max(share - flat, 0.0)
        sums[VARIANCE] += _variance(shifted) * (1 + 1 / half)  # chance is an average of `half` counts itself


@njit(nogil=True, cache=True)
def _variance(values: Floats) -> float:
    """Of a sample."""
    total, squares = 0.0, 0.0
    for value in values:
        total += value
    mean = total / len(values)
    for value in values:
        squares += (value - mean) * (value - mean)
    return squares / (len(values) - 1)


@njit(nogil=True, cache=True)
def _between(upto: Counts, since: int, reach: int) -> int:
    """Starts within `reach` of a minute, from a running count."""
    return int(upto[since + reach + 1]) - int(upto[since - reach])


@njit(nogil=True, cache=True)
def _moved(minutes: Ints, low: int, high: int, last: int, at: int, reach: int) -> tuple[int, int]:
    """The starts from `low` to before `high` that are within reach of a moment; moments only grow."""
    while low < last and minutes[low] < at - reach:
        low += 1
    while high < last and minutes[high] <= at + reach:
        high += 1
    return low, high


@njit(nogil=True, cache=True)
def _own(minutes: Ints, low: int, high: int, moment: int, reach: int) -> int:
    """Those of the starts from `low` to before `high` that are within reach of a moment."""
    count = 0
    for i in range(low, high):
        count += abs(minutes[i] - moment) <= reach
    return count
