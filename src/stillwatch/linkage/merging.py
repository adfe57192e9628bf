"""Cells that at least two independent groups link, beside their wordings, become one.

Why:    chance can explain a shared template or a shared address, not that two cells meet again and again in kinds that
        have nothing to do with one another.
Misses: cells that share too few cards, devices and addresses and never start together; the more cells there are, the
        more they have to share.
Source: Chung & Lu, PNAS 99 (2002) 15879-15882 (chance of sharing, degrees kept); Fisher's combination restricted to
        groups that speak for themselves.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.sparse import csgraph

from stillwatch.linkage.cells import DURABLE, TELLING_CONTROL
from stillwatch.linkage.holdings import CONTENT, GROUPS, PARTNER, Floats, Holdings, Ints
from stillwatch.linkage.labels import holding_counts, members_of, numbered
from stillwatch.linkage.parts import in_parts
from stillwatch.linkage.synchrony import Synchrony
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MIN_GROUPS

Flags = NDArray[np.bool_]

GROUP_P_VALUE = 0.05  # of the links between two cells in one group, to count at all
MERGE_P_VALUE = 1e-4  # of all groups that count together, at most
FALSE_MERGES = 0.05  # pairs of cells that chance may link in one round; there are millions of pairs in a large world
LEAST_P_VALUE = 1e-6  # what one group can contribute: two have to speak
# addresses, sign-up hours, and wordings that others use as well
CHEAP = [GROUPS.index(name) for name in ("network", "registration", "content")]
MIN_POINTS = MIN_GROUPS + 1  # of the groups that tie an account: a cheap group counts one, any other two
TIMING = GROUPS.index("timing")
CROWD = len(GROUPS)  # a card, device or telephone that several members share
POINTS = np.where(np.isin(np.arange(CROWD + 1), [*CHEAP, CROWD]), 1, 2)  # (groups and that one,)


@dataclass(frozen=True, slots=True)
class Linkable:
    """What accounts can be linked by: traits, their weights, sessions begun together; and who may be a member."""

    of: Holdings
    weighed: Weights
    synchrony: Synchrony
    eligible: Flags  # (accounts,)
    by_crowds: Flags  # (accounts,) whom a card or device of several members suffices to tie
    named: Ints  # (accounts,) the organisation that each names, -1 for none


def merged(by: Linkable, labels: Ints) -> Ints:
    """Merge cells that at least two groups link, until none do."""
    while True:
        count = int(labels.max(initial=-1)) + 1
        left, right = _linked_pairs(by, labels, count)
        if not len(left):
            return labels
        pairs = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
        _, target = csgraph.connected_components(pairs, directed=False)
        labels = numbered(np.where(labels >= 0, target[labels], -1).astype(np.int64), least=1)


def _linked_pairs(by: Linkable, labels: Ints, count: int) -> tuple[Ints, Ints]:
    """Pairs of cells that share more than chance in groups other than content worth MIN_POINTS together.

    Every pair of cells was asked about, so that what suffices for one is corrected for how many there are (Bonferroni).
    """
    wanted = -np.log10(min(MERGE_P_VALUE, FALSE_MERGES / max(count * (count - 1) / 2, 1.0)))
    points = sparse.csr_array((count, count))
    strength = sparse.csr_array((count, count))
    telling = (by.weighed.control >= TELLING_CONTROL) | np.isin(by.of.group, DURABLE)
    for group in range(len(GROUPS)):
        if group in (CONTENT, TIMING):
            continue
        values = telling & (by.of.group == group)
        found = _named_alike(by.of, values, labels, count) if group == PARTNER else None
        left, right, p_values = found or _shared_beyond_chance(by.of, values, labels, count, group)
        counts = p_values <= GROUP_P_VALUE
        cells = (left[counts], right[counts])
        digits = -np.log10(np.maximum(p_values[counts], LEAST_P_VALUE))
        worth = np.full(len(digits), POINTS[group])
        points = points + sparse.coo_array((worth, cells), shape=(count, count)).tocsr()
        strength = strength + sparse.coo_array((digits, cells), shape=(count, count)).tocsr()
    pairs = points.tocoo()
    left, right = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
    digits = np.asarray(strength[left, right]).ravel() if len(left) else np.zeros(0)
    open_ = (pairs.data < MIN_POINTS) | (digits < wanted)
    in_step = np.ones(len(left))
    in_step[open_] = by.synchrony.p_values(members_of(labels), left[open_], right[open_])
    steps = in_step <= GROUP_P_VALUE
    worth = pairs.data + np.where(steps, POINTS[TIMING], 0)
    digits = digits + np.where(steps, -np.log10(np.maximum(in_step, LEAST_P_VALUE)), 0.0)
    kept = (worth >= MIN_POINTS) & (digits >= wanted)
    return left[kept], right[kept]


def _shared_beyond_chance(
    of: Holdings, wanted: Flags, labels: Ints, count: int, group: int
) -> tuple[Ints, Ints, Floats]:
    """Pairs of cells (left < right) that share any wanted value, and the chance of sharing as many.

    A cell that holds d of the D holdings of a group holds a value with n holders by chance with probability
    1 - exp(-n d / D); values shared by two cells are Poisson.
    """
    held = holding_counts(of, labels, count, wanted)
    held.data = np.ones_like(held.data)
    shared = sparse.triu(held @ held.T, k=1).tocoo()
    left, right = shared.row.astype(np.int64), shared.col.astype(np.int64)
    if not len(left):
        return left, right, np.zeros(0)
    inside = labels >= 0
    degree = np.bincount(labels[inside], weights=of.degree[inside, group], minlength=count)
    sizes, how_many = np.unique(of.holder_counts[wanted], return_counts=True)
    chance = -np.expm1(-np.outer(degree, sizes) / max(float(of.degree[:, group].sum()), 1.0))
    expected = np.empty(len(left))
    add_up = partial(_add_up, chance, how_many.astype(np.float64), left, right, expected)
    in_parts(add_up, np.full(len(left), len(sizes)))
    return left, right, np.asarray(stats.poisson.sf(shared.data - 1, expected))


@njit(nogil=True, cache=True)
def _add_up(chance: Floats, weights: Floats, left: Ints, right: Ints, sums: Floats, first: int, last: int) -> None:
    """Fill `sums` from `first` to before `last`: products of the rows of `chance` of each pair, weighed."""
    for pair in range(first, last):
        total = 0.0
        for place in range(len(weights)):
            total += chance[left[pair], place] * chance[right[pair], place] * weights[place]
        sums[pair] = total


def _named_alike(of: Holdings, wanted: Flags, labels: Ints, count: int) -> tuple[Ints, Ints, Floats]:
    """Pairs of cells (left < right) most of whose accounts bear one lead; how likely the commoner of the two is.

    Cells are made of wordings and a lead is a wording, so what counts is how many of all accounts bear it, not how many
    leads an account has: the hypergeometric tail of the cell that bears it more by chance.
    """
    held = holding_counts(of, labels, count, wanted).tocoo()
    size = np.bincount(labels[labels >= 0], minlength=count)
    most = 2 * held.data > size[held.row]
    cell, lead, bearing = held.row[most].astype(np.int64), held.col[most], held.data[most]
    totals = of.holder_counts[lead]
    chance = np.asarray(stats.hypergeom.sf(bearing - 1, of.account_count, totals, size[cell]))
    left, right, p_values = [], [], []
    for number in np.unique(lead):
        mine = np.flatnonzero(lead == number)
        mine = mine[np.argsort(cell[mine])]
        first, second = np.triu_indices(len(mine), k=1)
        left.append(cell[mine][first])
        right.append(cell[mine][second])
        p_values.append(np.maximum(chance[mine][first], chance[mine][second]))
    if not left:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    pairs, place = np.unique(np.concatenate(left) * count + np.concatenate(right), return_inverse=True)
    least = np.ones(len(pairs))
    np.minimum.at(least, place, np.concatenate(p_values))
    return pairs // count, pairs % count, least
