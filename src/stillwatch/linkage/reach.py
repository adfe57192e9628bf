"""Reach: a hand is charged with those only whom what proves it reaches, or who could be the few it happens to miss.

Why:    who uses a public wording stands in a cell with a class, a small firm or an abuser of free credit that use it as
        well. What these share makes the whole cell look like one hand's, for a wording that nobody outside holds
        seems to be its own.
Misses: clusters that one group alone ties, for how many accounts it misses cannot be told; strangers so few that the
        hand could have missed as many of its own.
Source: capture and recapture by several lists: Chandra Sekar & Deming, JASA 44 (1949) 101-115. What is caught by the
        other groups tells what each group misses. The allowance for lists that depend on one another is our own.

    1. What ties the members, beside wordings, joins them into islands. The largest is the hand's, with whoever keeps
       step with the cluster.
    2. Null: whoever is not in it is the hand's as well, and missed by every group. Each group's share of misses is read
       off the members that others caught; it is taken as large as it may well be. Operators keep some accounts clean on
       purpose, so that KEPT_CLEAN of them may be missed besides.
    3. Under the null the holders of each wording are missed as often as all others. A wording of which far too many
       holders are missed is not the hand's alone, and those who hold it are let go.
    4. Whoever was let go is looked at likewise, apart: a class among them is a cluster of its own.
"""

import numpy as np
from scipy import sparse, stats
from scipy.sparse import csgraph

from stillwatch.linkage.belonging import tying, tying_values
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import commonest, most, numbered
from stillwatch.linkage.merging import TIMING, Flags, Linkable
from stillwatch.membership import WORDINGS

KEPT_CLEAN = 0.1  # of a hand's accounts that may share nothing but wordings on purpose, one in ten
MISSED_P_VALUE = 0.05  # a group misses at most so many, but for one chance in twenty
STRANGE_P_VALUE = 0.01  # of so many holders of a wording missed, corrected for the wordings of the cluster


def within_reach(by: Linkable, labels: Ints) -> Ints:
    """The labels, with new ones for those who are out of reach of their cluster, one for all of a cluster.

    `labels` are numbered by falling size. Most clusters lose nobody, and those are looked at again only where others
    left them something.
    """
    asked = labels >= 0
    while True:
        gone = _out_of_reach(by, labels, np.flatnonzero(asked))
        if not gone.any():
            return labels
        before, changed = labels, np.isin(labels, np.unique(labels[gone]))
        labels = numbered(np.where(gone, labels + labels.max() + 1, labels), least=1)
        asked = changed | _left_something(by, before, labels, np.flatnonzero(changed))


def _left_something(by: Linkable, before: Ints, labels: Ints, changed: Ints) -> Flags:
    """Members of clusters with most holders of a value that had most in a cluster which changed: (accounts,).

    `changed` are the accounts of those, which hold it. A cluster that did not change can only gain values: it has as
    many holders as before, and others have fewer.
    """
    values, was_theirs = np.flatnonzero(tying_values(by, changed)), np.zeros(int(before.max()) + 2, dtype=bool)
    was_theirs[before[changed]] = True  # the last place is for -1
    values = values[was_theirs[commonest(by.of, before, values)[0][values]]]
    has_more = np.zeros(int(labels.max()) + 2, dtype=bool)
    has_more[commonest(by.of, labels, values)[0][values]] = True
    has_more[-1] = False
    return has_more[labels]


def _out_of_reach(by: Linkable, labels: Ints, asked: Ints) -> Flags:
    """Members, of the clusters asked about, who are too many without a tie for it to have missed them: (accounts,).

    `asked` are all members of these clusters, in order.
    """
    of, ties = by.of, tying(by, labels, asked)
    islands = _islands(of, ties)
    is_tied = np.zeros(int(labels.max(initial=-1)) + 2, dtype=bool)  # clusters that anything ties; the last for -1
    is_tied[labels[of.accounts[ties]]] = True
    members = asked[is_tied[labels[asked]]]
    caught = _caught(by, labels, members, ties[_on_largest(islands, labels, of.accounts[ties])])
    missed = np.zeros(of.account_count, dtype=bool)
    missed[members] = ~caught[members].any(axis=1)
    edges = of.edges_of(members)
    worded = edges[of.is_of(WORDINGS)[of.held[edges]]]
    strange = _strange(of, labels, worded, missed, _missed_shares(labels[members], caught[members]))
    return strange | _mates(of, islands, strange, missed, worded)


def _islands(of: Holdings, ties: Ints) -> Ints:
    """The island of each account, -1 for none, by edges that tie: (accounts,)."""
    (accounts, row), (values, column) = _compact(of.accounts[ties]), _compact(of.held[ties])
    size = len(accounts) + len(values)
    graph = sparse.coo_array((np.ones(len(ties)), (row, column + len(accounts))), shape=(size, size))
    islands = np.full(of.account_count, -1, dtype=np.int64)
    islands[accounts] = csgraph.connected_components(graph.tocsr(), directed=False)[1][: len(accounts)]
    return islands


def _compact(numbers: Ints) -> tuple[Ints, Ints]:
    """The distinct numbers, and the place of each number among them."""
    is_there = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    is_there[numbers] = True
    return np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[numbers]


def _on_largest(islands: Ints, labels: Ints, accounts: Ints) -> Flags:
    """Which of some members are on the island of most members of their cluster; of equals the first."""
    inside = np.flatnonzero((labels >= 0) & (islands >= 0))
    largest, _ = most(int(labels.max(initial=-1)) + 1, labels[inside], islands[inside])
    return np.asarray(islands[accounts] == largest[labels[accounts]])


def _caught(by: Linkable, labels: Ints, members: Ints, tied: Ints) -> Flags:
    """Which groups catch which accounts: (accounts, groups)."""
    of = by.of
    caught = np.zeros((of.account_count, len(GROUPS)), dtype=bool)
    caught[of.accounts[tied], of.group[of.held[tied]]] = True
    own = np.full(of.account_count, -1, dtype=np.int64)
    own[members] = labels[members]
    caught[members[by.synchrony.in_step(own, members, own[members])], TIMING] = True
    return caught


def _missed_shares(label: Ints, caught: Flags) -> Floats:
    """The share of a hand's accounts that every group may miss, 1 where one group is all there is: (clusters,).

    `label` (members,) and the groups that catch each (members, groups).
    """
    count = int(label.max(initial=-1)) + 1
    missed, ways = np.ones(count), caught.sum(axis=1)
    for group in range(len(GROUPS)):
        others = ways > caught[:, group]
        tried = np.bincount(label[others], minlength=count)
        misses = np.bincount(label[others & ~caught[:, group]], minlength=count)
        told = np.flatnonzero((np.bincount(label[caught[:, group]], minlength=count) > 0) & (misses < tried))
        missed[told] *= stats.beta.ppf(1 - MISSED_P_VALUE, misses[told] + 1, tried[told] - misses[told])
    return KEPT_CLEAN + (1 - KEPT_CLEAN) * missed


def _strange(of: Holdings, labels: Ints, worded: Ints, missed: Flags, shares: Floats) -> Flags:
    """The missed accounts that hold a wording of which too many holders in their cluster are missed: (accounts,)."""
    account, size = of.accounts[worded], len(of.values)
    names, place = np.unique(labels[account] * size + of.held[worded], return_inverse=True)
    cluster, holders = names // max(size, 1), np.bincount(place)
    misses = np.bincount(place[missed[account]], minlength=len(names))
    tried = np.bincount(cluster[misses > 0], minlength=len(shares))[cluster]
    too_many = np.zeros(len(names), dtype=bool)
    asked = np.flatnonzero(misses > 0)
    chance = stats.binom.sf(misses[asked] - 1, holders[asked], shares[cluster[asked]])
    too_many[asked] = chance * tried[asked] <= STRANGE_P_VALUE
    strange = np.zeros(of.account_count, dtype=bool)
    strange[account[missed[account] & too_many[place]]] = True
    return strange


def _mates(of: Holdings, islands: Ints, strange: Flags, missed: Flags, worded: Ints) -> Flags:
    """Missed accounts on islands of strange ones, who hold no wording and came along with them: (accounts,)."""
    is_strange = np.zeros(int(islands.max(initial=-1)) + 2, dtype=bool)
    is_strange[islands[strange]] = True
    is_strange[-1] = False  # no island
    holds = np.zeros(of.account_count, dtype=bool)
    holds[of.accounts[worded]] = True
    return missed & is_strange[islands] & ~holds
