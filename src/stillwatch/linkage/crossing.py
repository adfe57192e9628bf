"""Crossing: cells of wordings that cards, devices and addresses of a few accounts each join again and again.

Why:    a campaign deals its tasks out, and each of its cards, devices and exits is shared by a few. Its cells are pure,
        and no value and no pair of cells says more than chance, nor more than a household; all of them together do,
        for they join the same few cells over and over.
Misses: campaigns of one cell; those whose cells are mixed with strangers, or that addresses alone or one card alone
        join; deployments of more accounts than WIDE has.
Source: a scan statistic calibrated by shuffled worlds: Kulldorff, Commun. Stat. Theory Methods 26 (1997) 1481-1496; of
        sets it maximises Fisher's combination of Poisson tails, one for each group of traits, instead of a likelihood
        ratio. Stopping early: Besag & Clifford, Biometrika 78 (1991) 301-304. Counting joins rather than values is our
        own.

    1. Cells by wordings alone, without what else is known of these wordings. Who stays holds two wordings that hardly
       anybody outside the cell holds, or later one; one of them is a template.
    2. A join is a card, device, telephone or address of accounts in several cells: it counts once for each account
       that nothing had joined to the others yet. What is shared inside one cell joins nothing: a team or a class is one
       cell, however much it shares. A household in two cells joins them once.
    3. The set of cells with the least likely number of joins for the pairs of its accounts is grown cell by cell, each
       joined to it by a card, device or telephone. Addresses alone bring nobody in, and one value alone is one
       customer's, however many hold it.
    4. Null: who shares what with whom is kept, and who writes what, and which account is which is shuffled. The best
       set anywhere has to beat the best set of all but one in a hundred shuffled worlds.
    5. Among few accounts those in no cluster are asked, and everything counts. Among many all are, a value makes few
       joins, and addresses count for no more than all else together; first with cells of two wordings, then of one.
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
from stillwatch.linkage.labels import numbered, root, united
from stillwatch.linkage.merging import Flags
from stillwatch.linkage.weights import Weights
from stillwatch.membership import WORDINGS

SMALLEST = 5  # accounts of a set of cells
P_VALUE = 0.01  # of the best set of cells of a whole world
DRAWS = 9_999  # shuffled worlds in which just the cells found are looked at
LEAST_GAIN = 4.0  # in nats, for one more cell: one address in common is not enough
TEMPLATE = "template"  # said in the same words: a rewording may be a mere sentence
JOINING = (*DURABLE, GROUPS.index("network"))  # groups whose values join cells; the dearest first
BY_ADDRESS = len(DURABLE)  # place of the last
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

    One value for `most` joins at most, addresses for `leaning` times as much as all else. Who stays in a cell holds so
    many `wordings` of its own; `shuffles` is how many shuffled worlds a set is held against.
    """

    accounts: int
    most: int
    leaning: float
    shuffles: int
    wordings: int = MIN_WORDINGS


# Among many, one card of many is one customer's, and carriers' addresses are everybody's.
WIDE = Counting(accounts=20_000, most=3, leaning=1.0, shuffles=299)
LOOSE = WIDE._replace(wordings=1)  # who hides behind a public tool holds one, beside what all of its users say
# Among few there is so little that all of it has to count.
SMALL = Counting(accounts=1_000, most=1_000, leaning=np.inf, shuffles=999)


class _World(NamedTuple):
    """What ties free accounts: values, the dearest groups first, their holders one after the other; and their cells.

    `place` of each value's group in JOINING (values,); `first` of its `holders` (values + 1,); `cells` of each account,
    -1 for none; `rates` of joins for each pair of accounts, by group. A value counts for `most` joins, and addresses
    for `leaning` times as much as all else, at most.
    """

    place: Ints
    first: Ints
    holders: Ints
    cells: Ints
    rates: Floats
    most: int
    leaning: float


class _Met(NamedTuple):
    """What cells have in common. A holding is a cell's of a value that another cell holds too.

    `place` of each value's group (values,); `of_value` the first holding of each value (values + 1,), `cell` and
    `begins` of each holding among the `accounts` that hold it; `of_cell` the first of each cell (cells + 1,) among
    `holding`, the dearest values first, and the `value` of each holding; `forest` in which accounts of a cell that
    share what no other cell holds are one tree; `sizes` of the cells in accounts.
    """

    place: Ints
    of_value: Ints
    cell: Ints
    begins: Ints
    accounts: Ints
    of_cell: Ints
    holding: Ints
    value: Ints
    forest: Ints
    sizes: Ints


class _Set(NamedTuple):
    """A set of cells as it grows: trees of its accounts and their sizes, and how it holds each value.

    `first` is its first holding of each, -1 for none, `crosses` whether it has another, and `joins` how many it made.
    `undone` is room for trees that were joined for a try.
    """

    forest: Ints
    heft: Ints
    first: Ints
    crosses: Flags
    joins: Ints
    undone: Ints


def crossed(of: Holdings, free: Flags, home: Ints, counting: Counting, *, seed: int) -> list[Crossed]:
    """Sets of cells among the free accounts that what they share keeps joining, one after another.

    `home` is the cluster that each account stands in already, -1 for none: (accounts,). What is known is not tested.
    """
    found: list[Crossed] = []
    while of.account_count <= counting.accounts:
        world = _world(of, free, _tight(of, free, counting.wordings, seed), counting)
        gain, order = _best(world)
        members, linked = _charged(world, order)
        who, expected = np.flatnonzero(free), float(world.rates.sum()) * _pairs(len(members))
        if len(members) < SMALLEST:
            break
        free = free & ~np.isin(world.cells, order)
        if (home[members] < 0).sum() < SMALLEST and len(np.unique(home[members[home[members] >= 0]])) == 1:
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
    wording, template = of.is_of(WORDINGS), of.is_of([TEMPLATE])
    while True:
        edge = np.flatnonzero(wording[of.held] & (labels[of.accounts] >= 0))
        account, value = of.accounts[edge], of.held[edge]
        _, name, inside = np.unique(labels[account] * size + value, return_inverse=True, return_counts=True)
        own = (inside[name] >= 2) & (inside[name] >= OWN_SHARE * of.holder_counts[value])
        owned = np.bincount(account[own], minlength=of.account_count)
        templates = np.bincount(account[own & template[value]], minlength=of.account_count)
        kept = np.where((owned >= least) & (templates >= 1), labels, -1)
        if np.array_equal(kept, labels):
            return numbered(labels, least=2)
        labels = kept


def _world(of: Holdings, free: Flags, cells: Ints, counting: Counting) -> _World:
    """The world of the free accounts; the rates are those of joins were every account a cell, one at least."""
    group = np.full(len(GROUPS), -1, dtype=np.int64)
    group[list(JOINING)] = np.arange(len(JOINING))
    place = group[of.group]
    edge = np.flatnonzero((place >= 0)[of.held] & free[of.accounts])
    edge = edge[np.lexsort((of.accounts[edge], of.held[edge], place[of.held[edge]]))]
    value, holders = of.held[edge], of.accounts[edge]
    begins = np.flatnonzero(np.append(True, value[1:] != value[:-1])[: len(value)])
    place, first = place[value[begins]], np.append(begins, len(edge))
    counts = _joins_of_all(place, first, holders, of.account_count)
    rates = np.maximum(counts, 1) / max(_pairs(int(free.sum())), 1.0)
    return _World(place, first, holders, cells, rates, counting.most, counting.leaning)


@njit(nogil=True, cache=True)
def _joins_of_all(place: Ints, first: Ints, holders: Ints, accounts: int) -> Ints:
    """Joins by the place of their group were every account a cell."""
    forest, counts = np.arange(accounts), np.zeros(len(JOINING), np.int64)
    for value in range(len(place)):
        for at in range(first[value] + 1, first[value + 1]):
            counts[place[value]] += united(forest, holders[at], holders[first[value]])
    return counts


def _shuffled(world: _World, free: Ints, seed: int, times: int) -> Iterator[_World]:
    """The world so many times, who of the free accounts writes what dealt anew."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        cells = world.cells.copy()
        cells[free] = world.cells[rng.permutation(free)]
        yield world._replace(cells=cells)


def _is_beyond_chance(world: _World, gain: float, free: Ints, shuffles: int, seed: int) -> bool:
    """Whether hardly any shuffled world has a set of cells as good."""
    as_good = 0
    for other in _shuffled(world, free, seed, shuffles):
        as_good += _best(other, gain)[0] >= gain
        if as_good >= P_VALUE * (shuffles + 1):
            return False
    return True


def _p_value(world: _World, gain: float, order: Ints, free: Ints, seed: int) -> float:
    """How many shuffled worlds join just these cells as well, the world itself among them."""
    shuffled = _shuffled(world, free, seed, DRAWS)
    return (1 + sum(_gain_of(other, order) >= gain for other in shuffled)) / (DRAWS + 1)


def _charged(world: _World, order: Ints) -> tuple[Ints, Ints]:
    """Whom the set charges, and who of them is at an end of a join: nobody where one value is all that joins it.

    One card or device is one customer's, however many use it.
    """
    joins = _joins(world, order)
    if len(np.unique(joins[:, 0])) < MIN_VALUES:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(world.cells, order)), np.unique(joins[:, 1:])


def _joins(world: _World, order: Ints) -> Ints:
    """What joins these cells, once those within them have joined their accounts: (joins, value and two accounts)."""
    met = _met(world)
    state, joins = _empty(met), []
    for cell in order:
        for holding in met.holding[met.of_cell[cell] : met.of_cell[cell + 1]].tolist():
            value = int(met.value[holding])
            head, *others = _meeting(met, holding, state).tolist()
            joins += [(value, head, other) for other in others if _joined(state, head, other) >= 0]
            _hold(met, holding, state)
    return np.array(joins, dtype=np.int64).reshape(-1, 3)


@njit(nogil=True, cache=True)
def _best(world: _World, enough: float = np.inf) -> tuple[float, Ints]:
    """The best set that grows from any cell, its cells in order, and its gain; whichever has `enough`, if one does.

    A set grows by the cell that gains most, of those that a card, device or telephone joins to it, while one gains
    enough. Whoever is in a set begins no other, so that it stays quick where shuffled worlds have large ones.
    """
    met = _met(world)
    state = _empty(met)
    begun = np.zeros(len(met.sizes), np.bool_)
    best, most = np.empty(0, np.int64), 0.0
    for start in range(len(met.sizes)):
        if begun[start]:
            continue
        order = _grown(met, world, start, state)
        begun[order] = True
        gain = _gain(met, world, order, state)
        if gain > most:
            best, most = order, gain
        if most >= enough:
            break
    return most, best


@njit(nogil=True, cache=True)
def _met(world: _World) -> _Met:
    """What cells have in common."""
    cells = world.cells.max() + 1 if len(world.cells) else 0
    forest, place = np.arange(len(world.cells)), np.empty_like(world.place)
    of_value, value = np.zeros(len(world.place) + 1, np.int64), np.empty(len(world.holders), np.int64)
    cell, begins = np.empty(len(world.holders), np.int64), np.empty(len(world.holders) + 1, np.int64)
    accounts = np.empty(len(world.holders), np.int64)
    kept, used, end = 0, 0, 0
    for number in range(len(world.place)):
        holders, inside = world.holders[world.first[number] : world.first[number + 1]], 0
        for holder in holders:
            inside += int(world.cells[holder] >= 0)
        if inside < 2:
            continue
        holders = holders[world.cells[holders] >= 0]
        holders = holders[np.argsort(world.cells[holders], kind="mergesort")]
        if world.cells[holders[0]] == world.cells[holders[-1]]:
            for holder in holders[1:]:
                united(forest, holders[0], holder)
            continue
        for holder in holders:
            home = world.cells[holder]
            if used == of_value[kept] or cell[used - 1] != home:
                cell[used], value[used], begins[used] = home, kept, end
                used += 1
            accounts[end] = holder
            end += 1
        place[kept], of_value[kept + 1] = world.place[number], used
        kept += 1
    begins[used] = end
    for one in range(len(forest)):
        forest[one] = root(forest, one)
    of_cell, sizes = np.zeros(cells + 1, np.int64), np.zeros(cells, np.int64)
    for home in cell[:used]:
        of_cell[home + 1] += 1
    for home in world.cells:
        if home >= 0:
            sizes[home] += 1
    of_cell, holding = np.cumsum(of_cell), np.argsort(cell[:used], kind="mergesort")
    return _Met(
        place[:kept], of_value[: kept + 1], cell[:used], begins, accounts, of_cell, holding, value, forest, sizes
    )


@njit(nogil=True, cache=True)
def _empty(met: _Met) -> _Set:
    """The set of no cells."""
    values = len(met.place)
    forest, heft, room = met.forest.copy(), np.ones(len(met.forest), np.int64), np.empty(len(met.forest), np.int64)
    return _Set(forest, heft, np.full(values, -1), np.zeros(values, np.bool_), np.zeros(values, np.int64), room)


@njit(nogil=True, cache=True)
def _grown(met: _Met, world: _World, start: int, state: _Set) -> Ints:
    """The cells of the set that grows from one, in order; `state` is left as it was."""
    order, used = np.empty(len(met.sizes), np.int64), 0
    near, inside = np.zeros(len(met.sizes), np.bool_), np.zeros(len(met.sizes), np.bool_)
    counts, gain, size, chosen = np.zeros(len(world.rates), np.int64), 0.0, 0, start
    while chosen >= 0:
        counts += _added(met, world.most, chosen, state)
        order[used], inside[chosen] = chosen, True
        used, size = used + 1, size + met.sizes[chosen]
        _look_around(met, chosen, near)
        chosen, most = -1, gain + (LEAST_GAIN if used > 1 else 0.0)
        for cell in np.flatnonzero(near & ~inside):
            with_it = _nats(counts + _could_add(met, world.most, cell, state), world, size + met.sizes[cell])
            if with_it > most:
                chosen, most = int(cell), with_it
        gain = most if chosen >= 0 else gain
    _taken_back(met, order[:used], state)
    return order[:used]


@njit(nogil=True, cache=True)
def _look_around(met: _Met, cell: int, near: Flags) -> None:
    """Mark the cells that hold a card, device or telephone of this one."""
    for holding in met.holding[met.of_cell[cell] : met.of_cell[cell + 1]]:
        value = met.value[holding]
        if met.place[value] < BY_ADDRESS:
            near[met.cell[met.of_value[value] : met.of_value[value + 1]]] = True


@njit(nogil=True, cache=True)
def _meeting(met: _Met, holding: int, state: _Set) -> Ints:
    """The accounts that a holding joins, were it the set's: the first is in the set, or the only one is its own."""
    own = met.accounts[met.begins[holding] : met.begins[holding + 1]]
    first = state.first[met.value[holding]]
    if first < 0:
        return own[:1]
    theirs = met.accounts[met.begins[first] : met.begins[first + 1]]
    return np.concatenate((theirs[:1] if state.crosses[met.value[holding]] else theirs, own))


@njit(nogil=True, cache=True)
def _hold(met: _Met, holding: int, state: _Set) -> None:
    """Let a holding be the set's."""
    value = met.value[holding]
    state.crosses[value] = state.first[value] >= 0
    state.first[value] = holding if state.first[value] < 0 else state.first[value]


@njit(nogil=True, cache=True)
def _added(met: _Met, most: int, cell: int, state: _Set) -> Ints:
    """Joins by the place of their group between a cell and the set, which it then belongs to."""
    counts = np.zeros(len(JOINING), np.int64)
    for holding in met.holding[met.of_cell[cell] : met.of_cell[cell + 1]]:
        value, meeting = met.value[holding], _meeting(met, holding, state)
        for account in meeting[1:]:
            if _joined(state, meeting[0], account) >= 0:
                counts[met.place[value]] += state.joins[value] < most
                state.joins[value] += 1
        _hold(met, holding, state)
    return counts


@njit(nogil=True, cache=True)
def _could_add(met: _Met, most: int, cell: int, state: _Set) -> Ints:
    """The same, leaving the set as it is."""
    counts, used = np.zeros(len(JOINING), np.int64), 0
    for holding in met.holding[met.of_cell[cell] : met.of_cell[cell + 1]]:
        value, first = met.value[holding], state.first[met.value[holding]]
        if first < 0:
            continue
        head, joins = met.accounts[met.begins[first]], state.joins[value]
        for other in (first, holding):
            if other == first and state.crosses[value]:
                continue
            for at in range(met.begins[other], met.begins[other + 1]):
                tree = _joined(state, head, met.accounts[at])
                if tree >= 0:
                    counts[met.place[value]] += joins < most
                    state.undone[used] = tree
                    joins, used = joins + 1, used + 1
    for tree in state.undone[:used][::-1]:
        state.heft[state.forest[tree]] -= state.heft[tree]
        state.forest[tree] = tree
    return counts


@njit(nogil=True, cache=True)
def _joined(state: _Set, one: int, other: int) -> int:
    """Make the trees of two accounts one, the lighter below the other; its root, -1 where they are one already."""
    below, above = root(state.forest, one), root(state.forest, other)
    if below == above:
        return -1
    if state.heft[below] > state.heft[above]:
        below, above = above, below
    state.forest[below] = above
    state.heft[above] += state.heft[below]
    return below


@njit(nogil=True, cache=True)
def _taken_back(met: _Met, order: Ints, state: _Set) -> None:
    """Empty the set of its cells."""
    for cell in order:
        for holding in met.holding[met.of_cell[cell] : met.of_cell[cell + 1]]:
            value = met.value[holding]
            state.first[value], state.crosses[value], state.joins[value] = -1, False, 0
            for account in met.accounts[met.begins[holding] : met.begins[holding + 1]]:
                tree = met.forest[account]
                state.forest[tree], state.heft[tree] = tree, 1


@njit(nogil=True, cache=True)
def _gain_of(world: _World, order: Ints) -> float:
    """The gain of just these cells in a world."""
    among = np.zeros(world.cells.max() + 2, np.bool_)
    among[order] = True
    met = _met(_only(world, np.where(among[world.cells], world.cells, -1)))
    return _gain(met, world, order, _empty(met))


@njit(nogil=True, cache=True)
def _only(world: _World, cells: Ints) -> _World:
    """The world with other cells."""
    return _World(world.place, world.first, world.holders, cells, world.rates, world.most, world.leaning)


@njit(nogil=True, cache=True)
def _gain(met: _Met, world: _World, order: Ints, state: _Set) -> float:
    """How unlikely so many joins of these cells are, all groups together, in nats; `state` is left as it was."""
    counts = np.zeros(len(world.rates), np.int64)
    for cell in order:
        counts += _added(met, world.most, cell, state)
    _taken_back(met, order, state)
    return _nats(counts, world, met.sizes[order].sum())


@njit(nogil=True, cache=True)
def _nats(counts: Ints, world: _World, size: int) -> float:
    """Fisher's combination of the chances of so many joins of each group among so many accounts.

    Addresses are cheap: they count for `leaning` times what all the others do, at most.
    """
    dear = cheap = 0.0
    for place in range(len(counts)):
        if counts[place]:
            nats = -_log_tail(counts[place], world.rates[place] * _pairs(size))
            dear, cheap = (dear + nats, cheap) if place < BY_ADDRESS else (dear, cheap + nats)
    return dear + min(world.leaning * dear, cheap) if dear else 0.0


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
