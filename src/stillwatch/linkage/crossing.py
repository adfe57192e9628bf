"""Crossing: in a world of few accounts, cells of wordings that one set of cards, devices and addresses joins again.

Why:    a small campaign deals few tasks out over few accounts. Its cells are pure and each of its cards, devices and
        exits is shared by two or three, so no value and no pair of cells says more than chance, nor more than a
        household; all of them together do, for they join the same few cells over and over.
Misses: campaigns of one cell; those whose cells are mixed with strangers; deployments of more than FEW accounts, where
        values with more holders speak for themselves.
Source: a scan statistic calibrated by shuffled worlds: Kulldorff, Commun. Stat. Theory Methods 26 (1997) 1481-1496; of
        sets it maximises Fisher's combination of Poisson tails, one for each group of traits, instead of a likelihood
        ratio. Stopping early: Besag & Clifford, Biometrika 78 (1991) 301-304. Counting joins rather than values is our
        own.

    1. Cells by wordings alone, without what else is known of these wordings. Who stays holds two wordings that hardly
       anybody outside the cell holds, one of them a template.
    2. A join is a card, device, telephone or rare address that connects two cells' accounts which nothing joined yet.
       What is shared inside one cell joins nothing: a team or a class is one cell, however much it shares. A household
       in two cells joins them once.
    3. The set of cells with the most joins for the pairs of accounts between them is grown cell by cell.
    4. Of the set, the cells are charged that a card, device or telephone joins. An address alone charges nobody.
    5. Null: who shares what with whom is kept, and who writes what, and which account is which is shuffled. The best
       set anywhere has to beat the best set of all but one in a hundred shuffled worlds.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log

import numpy as np
from scipy import stats

from stillwatch.linkage.belonging import MIN_WORDINGS, OWN_SHARE
from stillwatch.linkage.cells import DURABLE, wording_cells
from stillwatch.linkage.holdings import GROUPS, Holdings, Ints
from stillwatch.linkage.households import MOST
from stillwatch.linkage.labels import numbered
from stillwatch.linkage.merging import Flags
from stillwatch.linkage.weights import Weights
from stillwatch.membership import WORDINGS

FEW = 1_000  # accounts of a world that is small
SMALLEST = 5  # accounts of a set of cells
P_VALUE = 0.01  # of the best set of cells of a whole world
SHUFFLES = 999
LEAST_GAIN = 4.0  # in nats, for one more cell: one address in common is not enough
TEMPLATE = "template"  # said in the same words: a rewording may be a mere sentence
NETWORK = GROUPS.index("network")
JOINING = (*DURABLE, NETWORK)  # groups whose values join cells; the dearest first

Tie = tuple[int, int, int]  # place of a group in JOINING, and two accounts


@dataclass(frozen=True, slots=True)
class Crossed:
    """Accounts of cells that are joined far more often than chance, by more than addresses, and those at ends of joins.

    `expected` joins by chance, and the chance of joins as unlikely between just these cells.
    """

    members: Ints
    linked: Ints
    expected: float
    p_value: float


@dataclass(frozen=True, slots=True)
class _Best:
    """A set of cells, and how unlikely its joins are by chance, in nats."""

    gain: float
    cells: frozenset[int]


def crossed(of: Holdings, free: Flags, *, seed: int) -> list[Crossed]:
    """Sets of cells among the free accounts that what they share keeps joining, one after another."""
    found: list[Crossed] = []
    while of.account_count <= FEW:
        cells, ties = _tight(of, free, seed), _ties(of, free)
        world = _World(ties, cells, _rates(ties, int(free.sum())))
        best = _best(world)
        one = _crossed(best, world, cells, max(len({place for place, _, _ in ties}), 1))
        if len(one.members) < SMALLEST or not _is_beyond_chance(best, ties, cells, free, seed):
            break
        found.append(one)
        free = free & ~np.isin(cells, list(best.cells))
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


def _ties(of: Holdings, free: Flags) -> list[Tie]:
    """What ties free accounts: the holders of each value in a row, the dearest groups first; each pair once a group.

    In a row, and not each with each, so that one value of many holders does not drown many of few.
    """
    ties: set[Tie] = set()
    for place, group in enumerate(JOINING):
        usable = (of.group == group) & ((group != NETWORK) | (of.holder_counts <= MOST))
        edge = np.flatnonzero(usable[of.held] & free[of.accounts])
        edge = edge[np.lexsort((of.accounts[edge], of.held[edge]))]
        first, second = edge[:-1], edge[1:]
        same = of.held[first] == of.held[second]
        pairs = zip(of.accounts[first[same]].tolist(), of.accounts[second[same]].tolist(), strict=True)
        ties |= {(place, left, right) for left, right in pairs}
    return sorted(ties)


def _rates(ties: Sequence[Tie], accounts: int) -> list[float]:
    """Joins for each pair of accounts, by group, every account taken for a cell; there is one at least."""
    counts = _counts(_joins(ties, {}))
    return [max(count, 1) / max(accounts * (accounts - 1) / 2, 1.0) for count in counts]


def _joins(ties: Sequence[Tie], forest: dict[int, int]) -> list[Tie]:
    """The ties that connect what nothing in the forest connects yet; it grows in place."""
    return [tie for tie in ties if _joined(forest, tie[1], tie[2])]


def _joined(forest: dict[int, int], left: int, right: int) -> bool:
    """Join two accounts' trees; whether they were apart."""
    while left in forest:
        left = forest[left]
    while right in forest:
        right = forest[right]
    if left != right:
        forest[right] = left
    return left != right


def _counts(joins: Sequence[Tie]) -> list[int]:
    """Joins by the place of their group."""
    counts = [0] * len(JOINING)
    for place, _, _ in joins:
        counts[place] += 1
    return counts


class _World:
    """Ties between accounts in cells, by cell; remembers the sets of cells it was asked about."""

    def __init__(self, ties: Sequence[Tie], cells: Ints, rates: Sequence[float]) -> None:
        """`cells` of each account, -1 for none; `rates` as `_rates` has them."""
        home = cells.tolist()
        self._rates, self._home = rates, home
        self._sizes = np.bincount(cells[cells >= 0]).tolist()
        self._ties: dict[int, list[Tie]] = defaultdict(list)
        self.near: dict[int, set[int]] = defaultdict(set)
        for tie in ties:
            left, right = home[tie[1]], home[tie[2]]
            if left < 0 or right < 0:
                continue
            self._ties[left].append(tie)
            if left != right:
                self._ties[right].append(tie)
                self.near[left].add(right)
                self.near[right].add(left)
        self._known: dict[frozenset[int], float] = {}

    def joins(self, among: frozenset[int]) -> list[Tie]:
        """The ties that join the cells, once those within them have joined their accounts."""
        home, forest = self._home, dict[int, int]()
        ties = sorted({t for cell in among for t in self._ties[cell] if home[t[1]] in among and home[t[2]] in among})
        _joins([tie for tie in ties if home[tie[1]] == home[tie[2]]], forest)
        return _joins([tie for tie in ties if home[tie[1]] != home[tie[2]]], forest)

    def expected(self, among: frozenset[int]) -> list[float]:
        """Joins by chance, by group."""
        sizes = [self._sizes[cell] for cell in among]
        pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) / 2
        return [rate * pairs for rate in self._rates]

    def gain(self, among: frozenset[int]) -> float:
        """How unlikely so many joins of these cells are, all groups together, in nats: Fisher's combination."""
        if among not in self._known:
            both = zip(_counts(self.joins(among)), self.expected(among), strict=True)
            self._known[among] = -sum(_log_tail(count, mean) for count, mean in both if count)
        return self._known[among]


def _log_tail(count: int, mean: float) -> float:
    """Natural logarithm of the chance of at least so many when `mean` are expected: Poisson."""
    term = total = 1.0
    step = count + 1
    while term > total * 1e-12:
        term *= mean / step
        total += term
        step += 1
    return count * log(mean) - mean - lgamma(count + 1) + log(total)


def _best(world: _World) -> _Best:
    """The best set that grows from any cell, by the cell that gains most, while one gains enough."""
    best = _Best(0.0, frozenset())
    for start in sorted(world.near):
        among = frozenset([start])
        while near := set().union(*(world.near[cell] for cell in among)) - among:
            gain, cell = max((world.gain(among | {cell}), -cell) for cell in near)
            if gain <= world.gain(among) + (LEAST_GAIN if len(among) > 1 else 0.0):
                break
            among |= {-cell}
            best = max(best, _Best(gain, among), key=lambda one: one.gain)
    return best


def _is_beyond_chance(best: _Best, ties: Sequence[Tie], cells: Ints, free: Flags, seed: int) -> bool:
    """Whether hardly any shuffled world has a set of cells as good."""
    rng, who = np.random.default_rng(seed), np.flatnonzero(free)
    rates, as_good = _rates(ties, len(who)), 0
    for _ in range(SHUFFLES):
        place = np.arange(len(cells))
        place[who] = rng.permutation(who)
        new = place.tolist()
        shuffled = [(group, new[left], new[right]) for group, left, right in ties]
        as_good += _best(_World(shuffled, cells, rates)).gain >= best.gain
        if as_good >= P_VALUE * (SHUFFLES + 1):
            return False
    return True


def _crossed(best: _Best, world: _World, cells: Ints, groups: int) -> Crossed:
    """Whom the set charges. By chance alone what each group adds to the gain is at most exponential."""
    joins, expected = world.joins(best.cells), sum(world.expected(best.cells))
    dear = [end for place, *ends in joins if JOINING[place] in DURABLE for end in ends]
    members = np.flatnonzero(np.isin(cells, np.unique(cells[dear]))) if dear else np.array([], np.int64)
    linked = np.unique([end for _, *ends in joins for end in ends])
    return Crossed(members, np.intersect1d(linked, members), expected, float(stats.gamma.sf(best.gain, groups)))
