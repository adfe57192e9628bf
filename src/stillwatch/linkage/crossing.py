"""Crossing: cells of wordings that cards, devices and addresses of a few accounts each join again and again.

Why:    a campaign deals its tasks out, and each of its cards, devices and exits is shared by a few. Its cells are pure,
        and no value and no pair of cells says more than chance, nor more than a household; all of them together do,
        for they join the same few cells over and over.
Misses: campaigns of one cell; those whose cells are mixed with strangers, or that addresses alone or one card alone
        join; deployments of more accounts than WIDE has.
Source: a scan statistic calibrated by shuffled worlds: Kulldorff, Commun. Stat. Theory Methods 26 (1997) 1481-1496; of
        sets it maximises what `growing` says instead of a likelihood ratio. Stopping early: Besag & Clifford,
        Biometrika 78 (1991) 301-304.

    1. Cells by wordings alone, without what else is known of these wordings. Who stays holds two wordings that hardly
       anybody outside the cell holds, or later one; one of them is a template.
    2. The set of cells with the least likely number of joins is grown (`growing`). One value alone is one customer's,
       however many hold it.
       A third of those who stand in no cluster yet has to be at an end of a join: of a crowd a few share something.
    3. Null: who shares what with whom is kept, and who writes what, and which account is which is shuffled. The best
       set anywhere has to beat the best set of all but one in a hundred shuffled worlds.
    4. Among few accounts those in no cluster are asked, and everything counts. Among many all are, a value makes few
       joins, and addresses count for no more than all else together; first with cells of two wordings, then of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stillwatch.linkage.belonging import MIN_WORDINGS, OWN_SHARE
from stillwatch.linkage.cells import wording_cells
from stillwatch.linkage.growing import World, best_set, gain_of, joined_by, pairs, world_of
from stillwatch.linkage.holdings import Holdings, Ints
from stillwatch.linkage.labels import holding_together, numbered
from stillwatch.linkage.merging import Flags
from stillwatch.linkage.weights import Weights
from stillwatch.membership import OWNED

SMALLEST = 5  # accounts of a set of cells
P_VALUE = 0.01  # of the best set of cells of a whole world
DRAWS = 9_999  # shuffled worlds in which just the cells found are looked at
TEMPLATE = "template"  # said in the same words: a rewording may be a mere sentence
JOINED_SHARE = 1 / 3  # of those in no cluster yet that are at an end of a join: what a few share is not the others'
MIN_VALUES = 2  # that join a set: one card is one customer's


@dataclass(frozen=True, slots=True)
class Crossed:
    """Accounts of cells that are joined far more often than chance, by more than addresses, and those at ends of joins.

    `expected` joins by chance, and the share of shuffled worlds that join just these cells as well.
    """

    members: Ints
    linked: Ints
    expected: float
    p_value: float


class Counting(NamedTuple):
    """How joins count in worlds of at most so many `accounts`.

    One value for `most` joins at most, addresses for `leaning` times as much as all else. A set grows by a cell that
    gains `step` nats. Who stays in a cell holds so many `wordings` of its own; `shuffles` is how many shuffled worlds a
    set is held against.
    """

    accounts: int
    most: int
    leaning: float
    step: float
    shuffles: int
    wordings: int = MIN_WORDINGS


# Among many, one card of many is one customer's, carriers' addresses are everybody's, and of a hundred cells that are
# tried at each step chance lets one gain four nats at most of them, and eight at hardly any.
WIDE = Counting(accounts=20_000, most=3, leaning=1.0, step=8.0, shuffles=299)
LOOSE = WIDE._replace(wordings=1)  # who hides behind a public tool holds one, beside what all of its users say
# Among few there is so little that all of it has to count, but for one address in common.
SMALL = Counting(accounts=1_000, most=1_000, leaning=np.inf, step=4.0, shuffles=999)


def crossed(of: Holdings, free: Flags, home: Ints, counting: Counting, *, seed: int) -> list[Crossed]:
    """Sets of cells among the free accounts that what they share keeps joining, one after another.

    `home` is the cluster that each account stands in already, -1 for none: (accounts,). What is known is not tested.
    """
    found: list[Crossed] = []
    while of.account_count <= counting.accounts:
        cells = _tight(of, free, counting.wordings, seed)
        most, leaning, step = counting.most, counting.leaning, counting.step
        world = world_of(of, free, cells, home, most=most, leaning=leaning, step=step)
        gain, order = best_set(world)
        members, linked = _charged(world, order)
        who, expected = np.flatnonzero(free), float(world.rates.sum()) * pairs(len(members))
        if len(members) < SMALLEST:
            break
        free = free & ~np.isin(world.cells, order)
        new = members[home[members] < 0]
        if len(new) < SMALLEST and len(np.unique(home[members[home[members] >= 0]])) == 1:
            continue
        if np.isin(new, linked).sum() < JOINED_SHARE * len(new):
            continue
        if not _is_beyond_chance(world, gain, who, counting.shuffles, seed):
            break
        found.append(Crossed(members, linked, expected, _p_value(world, gain, order, who, seed)))
    return found


def _tight(of: Holdings, free: Flags, least: int, seed: int) -> Ints:
    """Cells of the free accounts by wordings alone, those left out who hold too few of its own: (accounts,)."""
    size = len(of.values)
    blank = Weights(np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool))
    labels = wording_cells(of, blank, free, seed)
    wording, template = of.is_of(OWNED), of.is_of([TEMPLATE])
    while True:
        edge = np.flatnonzero(wording[of.held] & (labels[of.accounts] >= 0))
        account, value = of.accounts[edge], of.held[edge]
        inside = holding_together(of, labels, edge)
        own = (inside >= 2) & (inside >= OWN_SHARE * of.holder_counts[value])
        owned = np.bincount(account[own], minlength=of.account_count)
        templates = np.bincount(account[own & template[value]], minlength=of.account_count)
        kept = np.where((owned >= least) & (templates >= 1), labels, -1)
        if np.array_equal(kept, labels):
            return numbered(labels, least=2)
        labels = kept


def _shuffled(world: World, free: Ints, seed: int, times: int) -> Iterator[World]:
    """The world so many times, who of the free accounts writes what dealt anew."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        cells = world.cells.copy()
        cells[free] = world.cells[rng.permutation(free)]
        yield world._replace(cells=cells)


def _is_beyond_chance(world: World, gain: float, free: Ints, shuffles: int, seed: int) -> bool:
    """Whether hardly any shuffled world has a set of cells as good."""
    as_good = 0
    for other in _shuffled(world, free, seed, shuffles):
        as_good += best_set(other, gain)[0] >= gain
        if as_good >= P_VALUE * (shuffles + 1):
            return False
    return True


def _p_value(world: World, gain: float, order: Ints, free: Ints, seed: int) -> float:
    """How many shuffled worlds join just these cells as well, the world itself among them."""
    shuffled = _shuffled(world, free, seed, DRAWS)
    return (1 + sum(gain_of(other, order) >= gain for other in shuffled)) / (DRAWS + 1)


def _charged(world: World, order: Ints) -> tuple[Ints, Ints]:
    """Whom the set charges, and who of them is at an end of a join: nobody where one value is all that joins it.

    One card or device is one customer's, however many use it.
    """
    values, linked = joined_by(world, order)
    if values < MIN_VALUES:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(world.cells, order)), linked
