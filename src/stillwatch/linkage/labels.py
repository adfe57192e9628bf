"""Labels of accounts, -1 for none, and counting by them: what cells, merging and belonging share."""

from functools import partial
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from stillwatch.linkage.holdings import Holdings, Ints
from stillwatch.linkage.parts import in_parts

Flags = NDArray[np.bool_]


def holding_counts(of: Holdings, labels: Ints, count: int, among: Flags | None = None) -> sparse.csr_array:
    """Members of each of `count` clusters that hold each value: (clusters, values); of values `among` some, if given.

    Columns are in order.
    """
    chosen = np.flatnonzero((labels >= 0)[of.accounts]) if among is None else np.flatnonzero(among[of.held])
    label, value = labels[of.accounts[chosen]], of.held[chosen]
    member = label >= 0
    number, counts = np.unique(label[member] * len(of.values) + value[member], return_counts=True)
    row, column = np.divmod(number, max(len(of.values), 1))
    shape = (count, len(of.values))
    return sparse.coo_array((counts.astype(np.float64), (row, column)), shape=shape).tocsr()


def holding_together(of: Holdings, labels: Ints, edges: Ints) -> Ints:
    """How many edges of some, each of an account in a cluster, lead from the same cluster to the same value: (edges,).

    These are the members that hold it, as an account holds a value once.
    """
    name = labels[of.accounts[edges]] * len(of.values) + of.held[edges]
    _, place, counts = np.unique(name, return_inverse=True, return_counts=True)
    return np.asarray(counts[place])


def any_of(of: Holdings, accounts: Ints) -> Flags:
    """Which accounts are named at least once: (accounts,)."""
    named = np.zeros(of.account_count, dtype=bool)
    named[accounts] = True
    return named


def commonest(of: Holdings, labels: Ints, among: Ints | None = None) -> tuple[Ints, Ints]:
    """The cluster with most holders of each value (-1 for none) and how many: (values,); of equals the first.

    Of values `among` some, if given: the others are left at -1 and 0.
    """
    home, inside = np.full(len(of.values), -1, np.int64), np.zeros(len(of.values), np.int64)
    every = np.arange(len(of.values)) if among is None else among
    count = partial(_commonest, labels, of.edges.holders, of.edges.first, every, home, inside)
    in_parts(count, of.holder_counts[every])
    return home, inside


@njit(nogil=True, cache=True)
def _commonest(
    labels: Ints, holders: Ints, begins: Ints, values: Ints, home: Ints, inside: Ints, first: int, last: int
) -> None:
    """Fill `home` and `inside` of the values from `first` to before `last`; holders of a value begin at its place."""
    count = np.zeros(labels.max() + 1 if len(labels) else 0, np.int64)
    for value in values[first:last]:
        for place in range(begins[value], begins[value + 1]):
            label = labels[holders[place]]
            if label < 0:
                continue
            count[label] += 1
            if count[label] > inside[value] or (count[label] == inside[value] and label < home[value]):
                home[value], inside[value] = label, count[label]
        for place in range(begins[value], begins[value + 1]):
            label = labels[holders[place]]
            if label >= 0:
                count[label] = 0


def most(size: int, account: Ints, cluster: Ints) -> tuple[Ints, Ints]:
    """The cluster named most often for each account (-1 for none) and how often; of equals the first."""
    best = np.full(size, -1, dtype=np.int64)
    often = np.zeros(size, dtype=np.int64)
    pairs, counts = _distinct(np.stack([account, cluster]))
    _most(pairs[0], pairs[1], counts, best, often)
    return best, often


@njit(nogil=True, cache=True)
def _most(account: Ints, cluster: Ints, counts: Ints, best: Ints, often: Ints) -> None:
    for i in range(len(account)):
        if counts[i] > often[account[i]]:
            best[account[i]], often[account[i]] = cluster[i], counts[i]


def distinct(columns: Ints) -> Ints:
    """The distinct columns of a table (rows, columns) of numbers from 0 on, ordered by the first row, then the next."""
    return _distinct(columns)[0]


def _distinct(columns: Ints) -> tuple[Ints, Ints]:
    """The distinct columns and how often each occurs; as one number each, which is far quicker to sort."""
    sizes = tuple((columns.max(axis=1, initial=0) + 1).tolist())
    numbers, counts = np.unique(np.ravel_multi_index(tuple(columns), sizes), return_counts=True)
    return np.stack(np.unravel_index(numbers, sizes)).astype(np.int64), counts


def numbered(labels: Ints, *, least: int) -> Ints:
    """Labels renumbered by falling size, then first account; those with fewer than `least` accounts become -1."""
    known = labels >= 0
    names, first, inverse, sizes = np.unique(labels[known], return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.full(len(names), -1, dtype=np.int64)
    large = order[sizes[order] >= least]
    rank[large] = np.arange(len(large))
    numbered = np.full(len(labels), -1, dtype=np.int64)
    numbered[known] = rank[inverse]
    return numbered


def members_of(labels: Ints) -> list[Ints]:
    """The accounts of each label, in order."""
    inside = np.flatnonzero(labels >= 0)
    order = inside[np.argsort(labels[inside], kind="stable")]
    ends = np.cumsum(np.bincount(labels[inside])).tolist() if len(inside) else []
    return [order[first:last] for first, last in pairwise([0, *ends])]


@njit(nogil=True, cache=True)
def root(forest: Ints, account: int) -> int:
    """Of the tree that an account is in."""
    while forest[account] != account:
        account = forest[account]
    return account


@njit(nogil=True, cache=True)
def united(forest: Ints, one: int, other: int) -> bool:
    """Make the trees of two accounts one, below the first of its accounts; whether they were two."""
    above, below = root(forest, one), root(forest, other)
    forest[max(above, below)] = min(above, below)
    return above != below
