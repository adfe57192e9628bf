"""Which values meet in the same accounts, and which accounts such meetings cover: the counting behind `weights`.

For each value, what its holders hold besides is looked at, once. Pairs of accounts are never formed, and of pairs of
values only those are kept that meet often enough.
"""

from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stillwatch.linkage.incidence import Incidence, Ints, grouped
from stillwatch.linkage.parts import in_parts

Flags = NDArray[np.bool_]

FEW = 8  # a list so many times shorter than another is looked up in it instead of walking along both


def met(of: Incidence, group: Ints, speaks: Flags, least: int) -> tuple[Ints, Ints, Ints]:
    """Pairs of values (value < other) that at least `least` accounts hold both of, and how many do: (pairs,) each.

    Values are ordered by `group` (values,), and count for one another where `speaks` (groups, groups) says so.
    """
    found = in_parts(partial(_met, of, group, speaks, least), looked_at(of))
    value, other, shared = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return value, other, shared


def looked_at(of: Incidence) -> Ints:
    """How many values its holders hold, all in all, for each value: (values,)."""
    held = np.append(0, np.cumsum(np.diff(of.start)[of.holders]))
    return np.diff(held[of.first])


@njit(nogil=True, cache=True)
def _met(of: Incidence, group: Ints, speaks: Flags, least: int, first: int, last: int) -> tuple[Ints, Ints, Ints]:
    """The same of the values from `first` to before `last`."""
    value, other, shared = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    count, touched = np.zeros(len(group), np.int32), np.empty(len(group), np.int64)
    used = 0
    for mine in range(first, last):
        size = _count(of, group, speaks, mine, count, touched)
        if used + size > len(value):
            value, other, shared = _grown(value, used + size), _grown(other, used + size), _grown(shared, used + size)
        for i in range(size):
            theirs = touched[i]
            if count[theirs] >= least:
                value[used], other[used], shared[used] = mine, theirs, count[theirs]
                used += 1
            count[theirs] = 0
    return value[:used].copy(), other[:used].copy(), shared[:used].copy()


@njit(nogil=True, cache=True)
def _count(of: Incidence, group: Ints, speaks: Flags, mine: int, count: NDArray[np.int32], touched: Ints) -> int:
    """Count what the holders of a value hold of later groups; how many values those are, listed in `touched`."""
    size = 0
    for place in range(of.first[mine], of.first[mine + 1]):
        account = of.holders[place]
        edge = of.start[account + 1] - 1
        while edge >= of.start[account] and group[of.held[edge]] > group[mine]:
            theirs = of.held[edge]
            if speaks[group[mine], group[theirs]]:
                if count[theirs] == 0:
                    touched[size] = theirs
                    size += 1
                count[theirs] += 1
            edge -= 1
    return size


@njit(nogil=True, cache=True)
def _grown(values: Ints, least: int) -> Ints:
    """The values with room for at least so many, and for as many again as there were."""
    larger = np.empty(max(least, 2 * len(values)), np.int64)
    larger[: len(values)] = values
    return larger


def covered(of: Incidence, value: Ints, other: Ints, group: Ints, groups: int) -> Ints:
    """Holders of each value who also hold a value of each group that it is paired with: (values, groups).

    Pairs are (pairs,) `value` and `other`; those the other way round are pairs of their own.
    """
    found = np.zeros((len(group), groups), np.int64)
    partners, begins = grouped(value, other, len(group))
    in_parts(partial(_cover, of, partners, begins, group, found), looked_at(of) * (np.diff(begins) > 0))
    return found


@njit(nogil=True, cache=True)
def _cover(of: Incidence, partners: Ints, begins: Ints, group: Ints, found: Ints, first: int, last: int) -> None:
    """Fill `found` for the values from `first` to before `last`; those a value is paired with begin at its place."""
    is_partner, is_covered = np.full(len(group), -1, np.int64), np.zeros(found.shape[1], np.bool_)
    for mine in range(first, last):
        theirs = partners[begins[mine] : begins[mine + 1]]
        if not len(theirs):
            continue
        is_partner[theirs] = mine
        for place in range(of.first[mine], of.first[mine + 1]):
            account = of.holders[place]
            held = of.held[of.start[account] : of.start[account + 1]]
            is_covered[:] = False
            if FEW * len(theirs) < len(held):
                for partner in theirs:
                    edge = np.searchsorted(held, partner)
                    is_covered[group[partner]] |= edge < len(held) and held[edge] == partner
            else:
                for one in held:
                    is_covered[group[one]] |= is_partner[one] == mine
            for one in range(len(is_covered)):
                found[mine, one] += is_covered[one]
