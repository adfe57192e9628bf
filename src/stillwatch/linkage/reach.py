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
from scipy import stats

from stillwatch.linkage.belonging import tying
from stillwatch.linkage.cells import components
from stillwatch.linkage.holdings import GROUPS, Holdings, Ints
from stillwatch.linkage.labels import members_of, numbered
from stillwatch.linkage.merging import TIMING, Flags, Linkable
from stillwatch.membership import WORDINGS

KEPT_CLEAN = 0.1  # of a hand's accounts that may share nothing but wordings on purpose, one in ten
MISSED_P_VALUE = 0.05  # a group misses at most so many, but for one chance in twenty
STRANGE_P_VALUE = 0.01  # of so many holders of a wording missed, corrected for the wordings of the cluster


def within_reach(by: Linkable, labels: Ints) -> Ints:
    """The labels, with new ones for those who are out of reach of their cluster, one for all of a cluster."""
    while True:
        gone = _out_of_reach(by, labels)
        if not gone.any():
            return labels
        labels = numbered(np.where(gone, labels + labels.max() + 1, labels), least=1)


def _out_of_reach(by: Linkable, labels: Ints) -> Flags:
    """Members who are too many without a tie for their cluster to have missed them: (accounts,)."""
    of = by.of
    ties = tying(by, labels)
    islands = components(of, np.isin(np.arange(len(of.held)), ties))
    wordings = np.flatnonzero(of.is_of(WORDINGS)[of.held])
    tied_by, worded_by = _by_label(labels[of.accounts], ties), _by_label(labels[of.accounts], wordings)
    gone = np.zeros(of.account_count, dtype=bool)
    for cluster, members in enumerate(members_of(labels)):
        tied = tied_by[cluster]
        if not len(tied):
            continue
        step = members[by.synchrony.in_step(labels, members, np.full(len(members), cluster))]
        caught = _caught(of, members, tied[islands[of.accounts[tied]] == _largest(islands[members])], step)
        missed = members[~caught.any(axis=1)]
        strange = _strange(of, worded_by[cluster], missed, _missed_share(caught))
        gone[_with_mates(missed, islands, strange, of.accounts[worded_by[cluster]])] = True
    return gone


def _by_label(labels: Ints, edges: Ints) -> list[Ints]:
    """The edges of each label's accounts; `labels` are those of the accounts of all edges."""
    inside = edges[labels[edges] >= 0]
    order = inside[np.argsort(labels[inside], kind="stable")]
    return np.split(order, np.cumsum(np.bincount(labels[inside], minlength=int(labels.max(initial=-1)) + 1))[:-1])


def _largest(islands: Ints) -> int:
    """The island of most members; of equals the first."""
    return int(np.bincount(islands[islands >= 0]).argmax())


def _caught(of: Holdings, members: Ints, tied: Ints, step: Ints) -> Flags:
    """Which groups catch which members: (members, groups)."""
    caught = np.zeros((len(members), len(GROUPS)), dtype=bool)
    caught[np.searchsorted(members, of.accounts[tied]), of.group[of.held[tied]]] = True
    caught[np.searchsorted(members, step), TIMING] = True
    return caught


def _missed_share(caught: Flags) -> float:
    """The share of a hand's accounts that every group may miss; 1 where one group is all there is."""
    missed = 1.0
    for group in np.flatnonzero(caught.any(axis=0)).tolist():
        others = np.delete(caught, group, axis=1).any(axis=1)
        tried, misses = int(others.sum()), int((others & ~caught[:, group]).sum())
        missed *= 1.0 if misses == tried else float(stats.beta.ppf(1 - MISSED_P_VALUE, misses + 1, tried - misses))
    return KEPT_CLEAN + (1 - KEPT_CLEAN) * missed


def _strange(of: Holdings, worded: Ints, missed: Ints, share: float) -> Ints:
    """The missed accounts that hold a wording of which too many holders are missed."""
    is_missed = np.isin(of.accounts[worded], missed)
    _, place = np.unique(of.held[worded], return_inverse=True)
    holders, misses = np.bincount(place), np.bincount(place, weights=is_missed)
    tried = max(int((misses > 0).sum()), 1)
    too_many = np.asarray(stats.binom.sf(misses - 1, holders, share) * tried <= STRANGE_P_VALUE)
    return np.unique(of.accounts[worded[is_missed & too_many[place]]])


def _with_mates(missed: Ints, islands: Ints, strange: Ints, worded: Ints) -> Ints:
    """The strange accounts, and those of their islands who hold no wording and came along with them."""
    theirs = np.isin(islands[missed], islands[strange][islands[strange] >= 0])
    return np.union1d(strange, missed[theirs & ~np.isin(missed, worded)])
