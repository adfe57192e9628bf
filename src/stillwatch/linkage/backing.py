"""Backing: small cards, devices and addresses that say little each, and lie in one cell far more often than chance.

Why:    a campaign of a few hundred accounts in ten thousand shares each card, device or exit among three or four. No
        such value passes alone, for families share as many. But families do not all write alike: where a cell of
        wordings holds a dozen such values whole, and chance would put one there, nearly all of the dozen are real.
Misses: cells whose accounts share in one kind fewer than MIN_VALUES values, as a team shares its one card.
Source: joint evidence of many weak tests with the local false-discovery rate of Efron, Tibshirani, Storey & Tusher,
        JASA 96 (2001) 1151-1160; which cells and kinds: Benjamini & Hochberg, JRSS B 57 (1995) 289-300.

    1. A value lies in a cell when at least OWN_SHARE of its holders do, and MIN_ACCOUNTS of them: two are a household.
    2. Joins: how many accounts of the cell such values of one group bring together, each account once, without those
       of the value that brings most together, which may be one owner's.
    3. Chance: were holders drawn from everybody, each as often as he holds values of the group, a binomial number of
       each value's would be in the cell.
    4. Of the cells and groups that pass a false-discovery rate, a value counts for the share of joins beyond chance.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import stats

from stillwatch.linkage.cells import DURABLE
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import root
from stillwatch.linkage.weights import PRIOR_HOLDERS, Weights, control_bits
from stillwatch.membership import MIN_ACCOUNTS

BACKED = (*DURABLE, GROUPS.index("network"))
OWN_SHARE = 0.5  # of the holders of a value who have to be in the cell
MIN_VALUES = 3  # that bring accounts of the cell together: fewer may be one owner's
FALSE_DISCOVERY_RATE = 0.01  # of cells and groups


@dataclass(frozen=True, slots=True)
class _Lying:
    """Values of one group that lie in a cell: cell, value and how many accounts each newly joins, (pairs,) each."""

    cell: Ints
    value: Ints
    joins: Ints


def backed(of: Holdings, weighed: Weights, cells: Ints) -> Weights:
    """The weights, where values that a cell backs count as well."""
    count = int(cells.max(initial=-1)) + 1
    if not count:
        return weighed
    p_values, beyond = np.ones((count, len(BACKED))), np.zeros((count, len(BACKED)))
    lying = [_lying(of, cells, group) for group in BACKED]
    for place, (group, own) in enumerate(zip(BACKED, lying, strict=True)):
        p_values[:, place], beyond[:, place] = _beyond_chance(of, cells, group, own)
    ordered = np.sort(p_values.ravel())
    passing = np.flatnonzero(ordered <= FALSE_DISCOVERY_RATE * np.arange(1, ordered.size + 1) / ordered.size)
    limit = ordered[passing[-1]] if len(passing) else -1.0
    control = weighed.control.copy()
    for place, own in enumerate(lying):
        told = p_values[own.cell, place] <= limit
        value, share = own.value[told], beyond[own.cell[told], place]
        holders = of.holder_counts[value]
        np.maximum.at(control, value, share * holders / (holders + PRIOR_HOLDERS))
    bits = np.where(control > weighed.control, control_bits(control, of.account_count), weighed.bits)
    return Weights(control, bits, weighed.valid | (control > weighed.control))


def _lying(of: Holdings, cells: Ints, group: int) -> _Lying:
    """The values of a group that lie in a cell."""
    values = np.flatnonzero(of.group == group)
    values = values[np.argsort(of.holder_counts[values], kind="stable")]  # the smallest join first
    table = _joins(cells, of.edges.holders, of.edges.first, values, np.arange(len(cells)))
    return _Lying(*table.T)


@njit(nogil=True, cache=True)
def _joins(cells: Ints, holders: Ints, first: Ints, values: Ints, forest: Ints) -> Ints:
    """Cell, value, and accounts newly joined of each value that lies in a cell: (pairs, 3)."""
    found, used = np.empty((len(values), 3), np.int64), 0
    for value in values:
        own = holders[first[value] : first[value + 1]]
        homes = np.sort(cells[own])
        for home in (homes[(len(homes) - 1) // 2], homes[len(homes) // 2]):  # where half of them are, if they are
            inside = own[cells[own] == home]
            if home < 0 or len(inside) < max(MIN_ACCOUNTS, OWN_SHARE * len(own)):
                continue
            joins = 0
            for account in inside[1:]:
                one, other = root(forest, inside[0]), root(forest, account)
                forest[max(one, other)] = min(one, other)
                joins += one != other
            found[used] = home, value, joins
            used += 1
            break
    return found[:used]


def _beyond_chance(of: Holdings, cells: Ints, group: int, lying: _Lying) -> tuple[Floats, Floats]:
    """The chance of as many joins in each cell, 1 where too few values make them; the share beyond chance: (cells,)."""
    count, inside = int(cells.max()) + 1, cells >= 0
    makes = lying.joins > 0
    joins = np.bincount(lying.cell, weights=lying.joins, minlength=count)
    largest = np.zeros(count)
    np.maximum.at(largest, lying.cell, lying.joins)
    asked = np.flatnonzero(np.bincount(lying.cell[makes], minlength=count) >= MIN_VALUES)
    held = of.degree[:, group].astype(np.float64)
    share = np.bincount(cells[inside], weights=held[inside], minlength=count)[asked] / max(held.sum(), 1.0)
    holders, how_many = np.unique(of.holder_counts[of.group == group], return_counts=True)
    least = np.maximum(np.ceil(OWN_SHARE * holders), MIN_ACCOUNTS)
    those_in = holders * share[:, None] * stats.binom.sf(least - 2, holders - 1, share[:, None])
    expected = (those_in - stats.binom.sf(least - 1, holders, share[:, None])) @ how_many
    left = joins[asked] - largest[asked]
    p_values, beyond = np.ones(count), np.zeros(count)
    p_values[asked] = stats.poisson.sf(left - 1, expected)
    beyond[asked] = 1.0 - np.minimum(expected / np.maximum(left, 1.0), 1.0)
    return p_values, beyond
