"""Labels of accounts, -1 for none, and counting by them: what cells, merging and belonging share."""

import numpy as np
from scipy import sparse

from stillwatch.linkage.holdings import Holdings, Ints


def holding_counts(of: Holdings, labels: Ints, count: int) -> sparse.csr_array:
    """Members of each of `count` clusters that hold each value: (clusters, values)."""
    member = labels[of.accounts] >= 0
    ones = np.ones(int(member.sum()))
    shape = (count, len(of.values))
    return sparse.coo_array((ones, (labels[of.accounts[member]], of.held[member])), shape=shape).tocsr()


def commonest(of: Holdings, labels: Ints) -> tuple[Ints, Ints]:
    """The cluster with most holders of each value (-1 for none) and how many: (values,); of equals the first."""
    counts = holding_counts(of, labels, int(labels.max(initial=-1)) + 1).tocoo()
    order = np.lexsort((counts.row, -counts.data, counts.col))
    values, first = np.unique(counts.col[order], return_index=True)
    home = np.full(len(of.values), -1, dtype=np.int64)
    inside = np.zeros(len(of.values), dtype=np.int64)
    home[values], inside[values] = counts.row[order][first], counts.data[order][first]
    return home, inside


def most(size: int, account: Ints, cluster: Ints) -> tuple[Ints, Ints]:
    """The cluster named most often for each account (-1 for none) and how often; of equals the first."""
    best = np.full(size, -1, dtype=np.int64)
    often = np.zeros(size, dtype=np.int64)
    pairs, counts = _distinct(np.stack([account, cluster]))
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    accounts, first = np.unique(pairs[0][order], return_index=True)
    best[accounts], often[accounts] = pairs[1][order][first], counts[order][first]
    return best, often


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
    return np.split(order, np.cumsum(np.bincount(labels[inside]))[:-1]) if len(inside) else []
