"""Crossing: in a world of few accounts, cells of wordings that one set of cards, devices and addresses joins again.

Why:    a small campaign deals few tasks out over few accounts. Its cells are pure and each of its cards, devices and
        exits is shared by a few, so no value and no pair of cells says more than chance, nor more than a household; all
        of them together do, for they join the same few cells over and over.
Misses: campaigns of one cell; those whose cells are mixed with strangers, or that addresses alone or one card alone
        join; deployments of more than FEW accounts, where values with more holders speak for themselves.
Source: a scan statistic calibrated by shuffled worlds: Kulldorff, Commun. Stat. Theory Methods 26 (1997) 1481-1496; of
        sets it maximises Fisher's combination of Poisson tails, one for each group of traits, instead of a likelihood
        ratio. Stopping early: Besag & Clifford, Biometrika 78 (1991) 301-304. Counting joins rather than values is our
        own.

    1. Cells by wordings alone, without what else is known of these wordings. Who stays holds two wordings that hardly
       anybody outside the cell holds, one of them a template.
    2. A join is a card, device, telephone or address of accounts in several cells: it counts once for each account
       that nothing had joined to the others yet. What is shared inside one cell joins nothing: a team or a class is one
       cell, however much it shares. A household in two cells joins them once.
    3. The set of cells with the most joins for the pairs of its accounts is grown cell by cell.
    4. Of the set, the cells are charged that a card, device or telephone joins. Addresses alone charge nobody, nor does
       one card alone, however many hold it: that is one customer.
    5. Null: who shares what with whom is kept, and who writes what, and which account is which is shuffled. The best
       set anywhere has to beat the best set of all but one in a hundred shuffled worlds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lgamma, log
from typing import NamedTuple

import numpy as np
from numba import njit

from stillwatch.linkage.belonging import MIN_WORDINGS, OWN_SHARE
from stillwatch.linkage.cells import DURABLE, wording_cells
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import numbered, root
from stillwatch.linkage.merging import Flags
from stillwatch.linkage.weights import Weights
from stillwatch.membership import WORDINGS

FEW = 1_000  # accounts of a world that is small
SMALLEST = 5  # accounts of a set of cells
P_VALUE = 0.01  # of the best set of cells of a whole world
SHUFFLES = 999
DRAWS = 9_999  # of these, in which just the cells found are looked at
LEAST_GAIN = 4.0  # in nats, for one more cell: one address in common is not enough
TEMPLATE = "template"  # said in the same words: a rewording may be a mere sentence
NETWORK = GROUPS.index("network")
JOINING = (*DURABLE, NETWORK)  # groups whose values join cells; the dearest first


@dataclass(frozen=True, slots=True)
class Crossed:
    """Accounts of cells that are joined far more often than chance, by more than addresses, and those at ends of joins.

    `expected` joins by chance, and the share of shuffled worlds that join just these cells as well.
    """

    members: Ints
    linked: Ints
    expected: float
    p_value: float


class _World(NamedTuple):
    """What ties free accounts: values, the dearest groups first, their holders one after the other; and their cells.

    `place` of each value's group in JOINING (values,); `first` of its `holders` (values + 1,); `cells` of each account,
    -1 for none; `rates` of joins for each pair of accounts, by group.
    """

    place: Ints
    first: Ints
    holders: Ints
    cells: Ints
    rates: Floats


def crossed(of: Holdings, free: Flags, *, seed: int) -> list[Crossed]:
    """Sets of cells among the free accounts that what they share keeps joining, one after another."""
    found: list[Crossed] = []
    while of.account_count <= FEW:
        world = _world(of, free, _tight(of, free, seed))
        gain, among = _best(world)
        members, linked = _charged(world, among)
        who, expected = np.flatnonzero(free), float(world.rates.sum()) * _pairs(int(among[world.cells].sum()))
        if len(members) < SMALLEST or not _is_beyond_chance(world, gain, who, seed):
            break
        found.append(Crossed(members, linked, expected, _p_value(world, gain, among, who, seed)))
        free = free & ~among[world.cells]
    return found


def _tight(of: Holdings, free: Flags, seed: int) -> Ints:
    """Cells of the free accounts by wordings alone, those left out who hold too few of its own: (accounts,)."""
    size = len(of.values)
    blank = Weights(np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool))
    labels = wording_cells(of, blank, free, seed)
    wording, template = of.is_of(WORDINGS), of.is_of([TEMPLATE])
    while True:
        edge = np.flatnonzero(wording[of.held] & (labels[of.accounts] >= 0))
        account, value = of.accounts[edge], of.held[edge]
        _, name, inside = np.unique(labels[account] * size + value, return_inverse=True, return_counts=True)
        own = (inside[name] >= 2) & (inside[name] >= OWN_SHARE * of.holder_counts[value])
        owned = np.bincount(account[own], minlength=of.account_count)
        templates = np.bincount(account[own & template[value]], minlength=of.account_count)
        kept = np.where((owned >= MIN_WORDINGS) & (templates >= 1), labels, -1)
        if np.array_equal(kept, labels):
            return numbered(labels, least=2)
        labels = kept


def _world(of: Holdings, free: Flags, cells: Ints) -> _World:
    """The world of the free accounts; the rates are those of joins were every account a cell, one at least."""
    group = np.full(len(GROUPS), -1, dtype=np.int64)
    group[list(JOINING)] = np.arange(len(JOINING))
    place = group[of.group]
    edge = np.flatnonzero((place >= 0)[of.held] & free[of.accounts])
    edge = edge[np.lexsort((of.accounts[edge], of.held[edge], place[of.held[edge]]))]
    value, holders = of.held[edge], of.accounts[edge]
    begins = np.flatnonzero(np.append(True, value[1:] != value[:-1])[: len(value)])
    alone = np.where(free, np.arange(of.account_count), -1)
    apart = _World(place[value[begins]], np.append(begins, len(edge)), holders, alone, np.ones(len(JOINING)))
    counts = _counts(apart, np.append(free, False))
    return apart._replace(cells=cells, rates=np.maximum(counts, 1) / max(_pairs(int(free.sum())), 1.0))


def _shuffled(world: _World, free: Ints, seed: int, times: int) -> Iterator[_World]:
    """The world so many times, who of the free accounts writes what dealt anew."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        cells = world.cells.copy()
        cells[free] = world.cells[rng.permutation(free)]
        yield world._replace(cells=cells)


def _is_beyond_chance(world: _World, gain: float, free: Ints, seed: int) -> bool:
    """Whether hardly any shuffled world has a set of cells as good."""
    as_good = 0
    for other in _shuffled(world, free, seed, SHUFFLES):
        as_good += _best(other)[0] >= gain
        if as_good >= P_VALUE * (SHUFFLES + 1):
            return False
    return True


def _p_value(world: _World, gain: float, among: Flags, free: Ints, seed: int) -> float:
    """How many shuffled worlds join just these cells as well, the world itself among them."""
    return (1 + sum(_gain(other, among) >= gain for other in _shuffled(world, free, seed, DRAWS))) / (DRAWS + 1)


def _charged(world: _World, among: Flags) -> tuple[Ints, Ints]:
    """Whom the set charges, and who of them is at an end of a join: nobody where one value is all that joins it.

    One card or device is one customer's, however many use it.
    """
    joins = _joins(world, among)
    joins = joins if len(np.unique(joins[:, 0])) > 1 else joins[:0]
    dear = world.cells[joins[world.place[joins[:, 0]] < JOINING.index(NETWORK), 1:].ravel()]
    members = np.flatnonzero(np.isin(world.cells, np.unique(dear)))
    return members, np.intersect1d(np.unique(joins[:, 1:]), members)


@njit(nogil=True, cache=True)
def _best(world: _World) -> tuple[float, Flags]:
    """The best set that grows from any cell, by the cell that gains most, while one gains enough; and its gain.

    Sets are flags of cells; the last is for -1.
    """
    world = _in_cells(world)
    near = _near(world)
    best, most = np.zeros(len(near), np.bool_), 0.0
    for start in range(len(near) - 1):
        among, gain, least = np.zeros(len(near), np.bool_), 0.0, 0.0
        among[start] = True
        while True:
            chosen, gained = -1, gain + least
            for cell in range(len(near) - 1):
                if among[cell] or not (near[cell] & among).any():
                    continue
                among[cell] = True
                with_it = _gain(world, among)
                among[cell] = False
                if with_it > gained:
                    chosen, gained = cell, with_it
            if chosen < 0:
                break
            among[chosen], gain, least = True, gained, LEAST_GAIN
        if gain > most:
            best, most = among, gain
    return most, best


@njit(nogil=True, cache=True)
def _in_cells(world: _World) -> _World:
    """The world without values, and holders, that join nothing: only accounts in cells, two at least to a value."""
    place, first, holders = np.empty_like(world.place), np.zeros_like(world.first), np.empty_like(world.holders)
    kept, used = 0, 0
    for value in range(len(world.place)):
        for account in world.holders[world.first[value] : world.first[value + 1]]:
            if world.cells[account] >= 0:
                holders[used] = account
                used += 1
        if used - first[kept] < 2:
            used = first[kept]
            continue
        place[kept], first[kept + 1] = world.place[value], used
        kept += 1
    return _World(place[:kept], first[: kept + 1], holders[:used], world.cells, world.rates)


@njit(nogil=True, cache=True)
def _near(world: _World) -> Flags:
    """Which cells hold any value together: (cells + 1, cells + 1), the last for -1, which is near nothing."""
    size = world.cells.max() + 2 if len(world.cells) else 1
    near = np.zeros((size, size), np.bool_)
    for value in range(len(world.place)):
        cells = world.cells[world.holders[world.first[value] : world.first[value + 1]]]
        for one in cells:
            for other in cells:
                near[one, other] = True
    near[-1], near[:, -1] = False, False
    return near


@njit(nogil=True, cache=True)
def _gain(world: _World, among: Flags) -> float:
    """How unlikely so many joins of these cells are, all groups together, in nats: Fisher's combination."""
    size, gain = 0, 0.0
    for cell in world.cells:
        size += among[cell]
    counts = _counts(world, among)
    for place in range(len(counts)):
        if counts[place]:
            gain -= _log_tail(counts[place], world.rates[place] * _pairs(size))
    return gain


@njit(nogil=True, cache=True)
def _joins(world: _World, among: Flags) -> Ints:
    """What joins these cells, once those within them have joined their accounts: (joins, value and two accounts)."""
    forest, joins, used = np.arange(len(world.cells)), np.empty((len(world.cells), 3), np.int64), 0
    for crossing in (False, True):
        for value in range(len(world.place)):
            holders = world.holders[world.first[value] : world.first[value + 1]]
            one, crosses = -1, False
            for account in holders:
                if among[world.cells[account]]:
                    one = account if one < 0 else one
                    crosses |= world.cells[account] != world.cells[one]
            if one < 0 or crosses != crossing:
                continue
            for account in holders:
                if among[world.cells[account]] and root(forest, account) != root(forest, one):
                    forest[root(forest, account)] = root(forest, one)
                    if crossing:
                        joins[used, 0], joins[used, 1], joins[used, 2] = value, one, account
                        used += 1
    return joins[:used]


@njit(nogil=True, cache=True)
def _counts(world: _World, among: Flags) -> Ints:
    """Joins by the place of their group."""
    counts = np.zeros(len(world.rates), np.int64)
    for value in _joins(world, among)[:, 0]:
        counts[world.place[value]] += 1
    return counts


@njit(nogil=True, cache=True)
def _pairs(accounts: int) -> float:
    return accounts * (accounts - 1) / 2.0


@njit(nogil=True, cache=True)
def _log_tail(count: int, mean: float) -> float:
    """Natural logarithm of the chance of at least so many when `mean` are expected: Poisson."""
    term = total = 1.0
    step = count + 1
    while term > total * 1e-12:
        term *= mean / step
        total += term
        step += 1
    return count * log(mean) - mean - lgamma(count + 1.0) + log(total)
