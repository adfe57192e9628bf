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
    4. Where a cell and group pass a false-discovery rate, a value counts for the share beyond chance of those with as
       many holders in the cell, or more, if that is BEYOND_CHANCE.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import stats

from stillwatch.linkage.cells import DURABLE
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import united
from stillwatch.linkage.weights import PRIOR_HOLDERS, Weights, accepted, control_bits
from stillwatch.membership import MIN_ACCOUNTS

BACKED = (*DURABLE, GROUPS.index("network"))
OWN_SHARE = 0.5  # of the holders of a value who have to be in the cell
MIN_VALUES = 3  # that bring accounts of the cell together: fewer may be one owner's
FALSE_DISCOVERY_RATE = 0.01  # of cells and groups
BEYOND_CHANCE = 0.9  # of the values in a cell with as many holders there as one has, for it to count


@dataclass(frozen=True, slots=True)
class _Lying:
    """Values of one group that lie in a cell: cell, value, holders there, accounts newly joined, (pairs,) each.

    `share` of what is held of the group by each cell (cells,); `sizes` of all values of the group, and `how_many`.
    """

    cell: Ints
    value: Ints
    inside: Ints
    joins: Ints
    share: Floats
    sizes: Ints
    how_many: Ints


def backed(of: Holdings, weighed: Weights, cells: Ints) -> Weights:
    """The weights, where values that a cell backs count as well."""
    if cells.max(initial=-1) < 0:
        return weighed
    lying = [_lying(of, cells, group) for group in BACKED]
    p_values = np.stack([_chance(own) for own in lying], axis=1)
    passing = accepted(p_values, FALSE_DISCOVERY_RATE)
    control = weighed.control.copy()
    for place, own in enumerate(lying):
        for cell in np.flatnonzero(passing[:, place]).tolist():
            value, beyond = _beyond_chance(own, cell)
            holders = of.holder_counts[value]
            control[value] = np.maximum(control[value], beyond * holders / (holders + PRIOR_HOLDERS))
    bits = np.where(control > weighed.control, control_bits(control, of.account_count), weighed.bits)
    return Weights(control, bits, weighed.valid | (control > weighed.control))


def _lying(of: Holdings, cells: Ints, group: int) -> _Lying:
    """The values of a group that lie in a cell."""
    values = np.flatnonzero(of.group == group)
    values = values[np.argsort(of.holder_counts[values], kind="stable")]  # the smallest join first
    table = _joins(cells, of.edges.holders, of.edges.first, values, np.arange(len(cells)))
    held, inside = of.degree[:, group].astype(np.float64), cells >= 0
    share = np.bincount(cells[inside], weights=held[inside]) / max(held.sum(), 1.0)
    cell, value, within, joins = table.T
    sizes, how_many = np.unique(of.holder_counts[values], return_counts=True)
    return _Lying(cell, value, within, joins, share, sizes, how_many)


@njit(nogil=True, cache=True)
def _joins(cells: Ints, holders: Ints, first: Ints, values: Ints, forest: Ints) -> Ints:
    """Cell, value, holders there and accounts newly joined of each value that lies in a cell: (pairs, 4)."""
    found, used = np.empty((len(values), 4), np.int64), 0
    for value in values:
        own = holders[first[value] : first[value + 1]]
        homes = np.sort(cells[own])
        for home in (homes[(len(homes) - 1) // 2], homes[len(homes) // 2]):  # where half of them are, if they are
            inside = own[cells[own] == home]
            if home < 0 or len(inside) < max(MIN_ACCOUNTS, OWN_SHARE * len(own)):
                continue
            joins = 0
            for account in inside[1:]:
                joins += united(forest, inside[0], account)
            found[used] = home, value, len(inside), joins
            used += 1
            break
    return found[:used]


def _chance(lying: _Lying) -> Floats:
    """The chance of as many joins in each cell, 1 where too few values make them: (cells,)."""
    count = len(lying.share)
    joins, largest = np.bincount(lying.cell, weights=lying.joins, minlength=count), np.zeros(count)
    np.maximum.at(largest, lying.cell, lying.joins)
    asked = np.flatnonzero(np.bincount(lying.cell[lying.joins > 0], minlength=count) >= MIN_VALUES)
    share, least = lying.share[asked, None], _least(lying)
    those_in = lying.sizes * share * stats.binom.sf(least - 2, lying.sizes - 1, share)
    expected = (those_in - stats.binom.sf(least - 1, lying.sizes, share)) @ lying.how_many
    p_values = np.ones(count)
    p_values[asked] = stats.poisson.sf(joins[asked] - largest[asked] - 1, expected)
    return p_values


def _beyond_chance(lying: _Lying, cell: int) -> tuple[Ints, Floats]:
    """Values of a cell that are mostly beyond chance, and the share of those with as many holders there that is."""
    own = np.flatnonzero(lying.cell == cell)
    levels, place = np.unique(lying.inside[own], return_inverse=True)
    seen = (lying.inside[own] >= levels[:, None]).sum(axis=1)
    least = np.maximum(_least(lying), levels[:, None])
    expected = stats.binom.sf(least - 1, lying.sizes, lying.share[cell]) @ lying.how_many
    beyond = (1.0 - expected / seen)[place]
    told = beyond >= BEYOND_CHANCE
    return lying.value[own[told]], beyond[told]


def _least(lying: _Lying) -> Floats:
    """Holders in a cell for values of each size to lie in it: (sizes,)."""
    return np.maximum(np.ceil(OWN_SHARE * lying.sizes), MIN_ACCOUNTS)
