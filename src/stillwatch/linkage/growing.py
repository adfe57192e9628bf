"""Growing: the set of cells whose accounts cards, devices, telephones and addresses join least likely by chance.

Why:    what joins the cells of a campaign is spread over many of them, and there are too many sets to try them all.
Misses: sets of cells of which none gains enough alone; whoever another set took in first begins none.
Source: Fisher's combination of Poisson tails, one for each group of traits. Counting joins rather than values is our
        own.

    1. A join is a card, device, telephone or address of accounts in several cells: it counts once for each account
       that nothing had joined to the others yet. What is shared inside one cell joins nothing: a team or a class is one
       cell, however much it shares. A household in two cells joins them once. Nor does what is shared inside a cluster
       that is known: else the joins of a campaign that was found long ago pay for whoever meets it by chance.
    2. A set begins with one cell, and grows by the cell that makes its joins least likely for the pairs of its
       accounts, of those that a card, device or telephone joins to it. Addresses alone bring nobody in.
    3. Each candidate is tried on the trees that its joins make of the set's accounts, and they are put back.
"""

from math import lgamma, log
from typing import NamedTuple

import numpy as np
from numba import njit

from stillwatch.linkage.cells import DURABLE
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import root, united
from stillwatch.linkage.merging import Flags

JOINING = (*DURABLE, GROUPS.index("network"))  # groups whose values join cells; the dearest first
BY_ADDRESS = len(DURABLE)  # place of the last


class World(NamedTuple):
    """What ties free accounts: values, the dearest groups first, their holders one after the other; and their cells.

    `place` of each value's group in JOINING (values,); `first` of its `holders` (values + 1,); `cells` of each account,
    -1 for none; `rates` of joins for each pair of accounts, by group; `known` clusters as trees (accounts,). A value
    counts for `most` joins, and addresses for `leaning` times as much as all else, at most; one more cell has to gain
    `step` nats.
    """

    place: Ints
    first: Ints
    holders: Ints
    cells: Ints
    rates: Floats
    known: Ints
    most: int
    leaning: float
    step: float


class _Met(NamedTuple):
    """What cells have in common. A holding is a cell's of a value that another cell holds too.

    `place` of each value's group (values,); `of_value` the first holding of each value (values + 1,), `cell` and
    `begins` of each holding among the `accounts` that hold it; `of_cell` the first of each cell (cells + 1,) among
    `holding`, the dearest values first, and the `value` of each holding; `forest` in which accounts of a cell that
    share what no other cell holds, or that are known, are one tree; `sizes` of the cells in accounts.
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
    `ends` are the accounts at the ends of joins; `undone` is room for trees that were joined for a try.
    """

    forest: Ints
    heft: Ints
    first: Ints
    crosses: Flags
    joins: Ints
    ends: Flags
    undone: Ints


def world_of(of: Holdings, free: Flags, cells: Ints, home: Ints, *, most: int, leaning: float, step: float) -> World:
    """The world of the free accounts; the rates are those of joins were every account a cell, one at least.

    `home` is the cluster that each account stands in already, -1 for none: (accounts,).
    """
    group = np.full(len(GROUPS), -1, dtype=np.int64)
    group[list(JOINING)] = np.arange(len(JOINING))
    place = group[of.group]
    edge = np.flatnonzero((place >= 0)[of.held] & free[of.accounts])
    edge = edge[np.lexsort((of.accounts[edge], of.held[edge], place[of.held[edge]]))]
    value, holders = of.held[edge], of.accounts[edge]
    begins = np.flatnonzero(np.append(True, value[1:] != value[:-1])[: len(value)])
    place, first = place[value[begins]], np.append(begins, len(edge))
    counts = _joins_of_all(place, first, holders, of.account_count)
    rates = np.maximum(counts, 1) / max(pairs(int(free.sum())), 1.0)
    return World(place, first, holders, cells, rates, _trees(home), most, leaning, step)


def _trees(home: Ints) -> Ints:
    """A forest in which the accounts of a cluster are one tree, and every other account is its own."""
    forest = np.arange(len(home))
    inside = np.flatnonzero(home >= 0)
    _, first, place = np.unique(home[inside], return_index=True, return_inverse=True)
    forest[inside] = inside[first[place]]
    return forest


@njit(nogil=True, cache=True)
def _joins_of_all(place: Ints, first: Ints, holders: Ints, accounts: int) -> Ints:
    """Joins by the place of their group were every account a cell."""
    forest, counts = np.arange(accounts), np.zeros(len(JOINING), np.int64)
    for value in range(len(place)):
        for at in range(first[value] + 1, first[value + 1]):
            counts[place[value]] += united(forest, holders[at], holders[first[value]])
    return counts


@njit(nogil=True, cache=True)
def best_set(world: World, enough: float = np.inf) -> tuple[float, Ints]:
    """The best set that grows from any cell, its cells in order, and its gain; whichever has `enough`, if one does.

    A set grows by the cell that gains most, of those that a card, device or telephone joins to it, while one gains
    a step. Whoever is in a set begins no other, so that it stays quick where shuffled worlds have large ones.
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
def joined_by(world: World, order: Ints) -> tuple[int, Ints]:
    """How many values join these cells, and the accounts at the ends of their joins."""
    met = _met(world)
    state = _empty(met)
    for cell in order:
        _added(met, world.most, cell, state)
    return (state.joins > 0).sum(), np.flatnonzero(state.ends)


@njit(nogil=True, cache=True)
def gain_of(world: World, order: Ints) -> float:
    """The gain of just these cells in a world."""
    among = np.zeros(world.cells.max() + 2, np.bool_)
    among[order] = True
    met = _met(_only(world, np.where(among[world.cells], world.cells, -1)))
    return _gain(met, world, order, _empty(met))


@njit(nogil=True, cache=True)
def _met(world: World) -> _Met:
    """What cells have in common."""
    cells = world.cells.max() + 1 if len(world.cells) else 0
    forest, place = world.known.copy(), np.empty_like(world.place)
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
    values, accounts = len(met.place), len(met.forest)
    first, joins = np.full(values, -1), np.zeros(values, np.int64)
    crosses, ends = np.zeros(values, np.bool_), np.zeros(accounts, np.bool_)
    heft, room = np.ones(accounts, np.int64), np.empty(accounts, np.int64)
    return _Set(met.forest.copy(), heft, first, crosses, joins, ends, room)


@njit(nogil=True, cache=True)
def _grown(met: _Met, world: World, start: int, state: _Set) -> Ints:
    """The cells of the set that grows from one, in order; `state` is left as it was."""
    order, used = np.empty(len(met.sizes), np.int64), 0
    near, inside = np.zeros(len(met.sizes), np.bool_), np.zeros(len(met.sizes), np.bool_)
    counts, gain, size, chosen = np.zeros(len(world.rates), np.int64), 0.0, 0, start
    while chosen >= 0:
        counts += _added(met, world.most, chosen, state)
        order[used], inside[chosen] = chosen, True
        used, size = used + 1, size + met.sizes[chosen]
        _look_around(met, chosen, near)
        chosen, most = -1, gain + world.step
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
                state.ends[meeting[0]] = state.ends[account] = True
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
                state.forest[tree], state.heft[tree], state.ends[account] = tree, 1, False


@njit(nogil=True, cache=True)
def _only(world: World, cells: Ints) -> World:
    """The world with other cells."""
    rates, known = world.rates, world.known
    return World(world.place, world.first, world.holders, cells, rates, known, world.most, world.leaning, world.step)


@njit(nogil=True, cache=True)
def _gain(met: _Met, world: World, order: Ints, state: _Set) -> float:
    """How unlikely so many joins of these cells are, all groups together, in nats; `state` is left as it was."""
    counts = np.zeros(len(world.rates), np.int64)
    for cell in order:
        counts += _added(met, world.most, cell, state)
    _taken_back(met, order, state)
    return _nats(counts, world, met.sizes[order].sum())


@njit(nogil=True, cache=True)
def _nats(counts: Ints, world: World, size: int) -> float:
    """Fisher's combination of the chances of so many joins of each group among so many accounts.

    Addresses are cheap: they count for `leaning` times what all the others do, at most.
    """
    dear = cheap = 0.0
    for place in range(len(counts)):
        if counts[place]:
            nats = -_log_tail(counts[place], world.rates[place] * pairs(size))
            dear, cheap = (dear + nats, cheap) if place < BY_ADDRESS else (dear, cheap + nats)
    return dear + min(world.leaning * dear, cheap) if dear else 0.0


@njit(nogil=True, cache=True)
def pairs(accounts: int) -> float:
    """How many pairs so many accounts are."""
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
