"""Reach: a hand is charged with those only whom what proves it reaches, or who could be the few it happens to miss.

Why:    who uses a public wording stands in a cell with a class, a small firm or an abuser of free credit that use it as
        well. What these share makes the whole cell look like one hand's, for a wording that nobody outside holds
        seems to be its own.
Misses: clusters that one group alone ties, for how many accounts it misses cannot be told; strangers so few that the
        hand could have missed as many of its own.
Source: capture and recapture by several lists: Chandra Sekar & Deming, JASA 44 (1949) 101-115. What is caught by the
        other groups tells what each group misses. Lists that depend on one another: Chao, Biometrics 43 (1987) 783-791.

    1. What ties the members, beside wordings, joins them into islands. The largest is the hand's, with whoever keeps
       step with the cluster.
    2. Null: whoever is not in it is the hand's as well, and missed by every group. Each group's share of misses is read
       off the members that others caught; it is taken as large as it may well be. Whoever is clean in one group is
       likelier clean in the next, and how many are caught once and twice tells how many may be missed at least.
       Operators keep some accounts clean on purpose, so that KEPT_CLEAN of them may be missed besides. Where nearly
       all may be, as one group catches far more than the others, the wording missed least tells it.
    3. Under the null the holders of each wording are missed as often as all others. A wording of which far too many
       holders are missed is strange. The missed who hold it are let go, unless they hold more wordings that are the
       hand's own, an exact template among them, or two such templates that are missed no more often than the hand.
       Of what is the hand's own somebody is caught.
    4. So are the missed among those who hold no such template, where these are missed too often.
    5. Islands go as one: where a quarter of one is let go, so are the missed among the others, whatever they hold.
    6. Whoever was let go is looked at likewise, apart: a class among them is a cluster of its own.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.sparse import csgraph

from stillwatch.linkage.belonging import MIN_WORDINGS, tying, tying_values
from stillwatch.linkage.cells import linked, pieces
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest, distinct, most, numbered
from stillwatch.linkage.merging import TIMING, Flags, Linkable
from stillwatch.membership import MIN_ACCOUNTS, OWNED
from stillwatch.records import TEMPLATE_KINDS

KEPT_CLEAN = 0.15  # of a hand's accounts that may share nothing but wordings on purpose
MISSED_P_VALUE = 0.05  # a group misses at most so many, but for one chance in twenty
NOTHING_TOLD = 0.9  # share of a hand's accounts that may be missed, beyond which the groups tell next to nothing
STRANGE_P_VALUE = 0.01  # of so many holders of a wording missed, corrected for the wordings of the cluster
THEIR_SHARE = 0.75  # of all holders of a wording that must be left in the cluster for it to be the hand's own
LED = 0.25  # share of an island that has to be strange for the missed among the others to go along
CROSSING = 0.1  # share of a piece's accounts that must be tied to others for it to be no island
TEMPLATE = TEMPLATE_KINDS[0]


def within_reach(by: Linkable, labels: Ints, seed: int) -> Ints:
    """The labels, with new ones for those who are out of reach of their cluster, one for all of a cluster.

    `labels` are numbered by falling size. Most clusters lose nobody, and those are looked at again only where others
    left them something. Of those who left, what only one group ties falls apart into its islands.
    """
    asked, left = labels >= 0, np.zeros(len(labels), dtype=bool)
    while True:
        looked = _looked_at(by, labels, np.flatnonzero(asked), seed)
        apart = left & asked & ~looked.is_counted
        if not looked.gone.any() and not apart.any():
            return labels
        before, changed = labels, np.isin(labels, np.unique(labels[looked.gone | apart]))
        left = (left | looked.gone) & ~apart
        labels = np.where(looked.gone, labels + labels.max() + 1, labels)
        islands = np.where(looked.islands >= 0, looked.islands + labels.max() + 1, -1)
        labels = numbered(np.where(apart, islands, labels), least=1)
        changed &= labels >= 0
        asked = (changed & ~apart) | _left_something(by, before, labels, np.flatnonzero(changed))


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


class _Looked(NamedTuple):
    """Who is out of reach, the island of each, whether anything tells how many their cluster misses: (accounts,)."""

    gone: Flags
    islands: Ints
    is_counted: Flags


def _looked_at(by: Linkable, labels: Ints, asked: Ints, seed: int) -> _Looked:
    """Members, of the clusters asked about, who are too many without a tie for it to have missed them.

    `asked` are all members of these clusters, in order.
    """
    of, ties = by.of, tying(by, labels, asked)
    islands = _islands(of, ties, seed)
    is_tied = np.zeros(int(labels.max(initial=-1)) + 2, dtype=bool)  # clusters that anything ties; the last for -1
    is_tied[labels[of.accounts[ties]]] = True
    members = asked[is_tied[labels[asked]]]
    caught = _caught(by, labels, members, ties[_on_largest(islands, labels, of.accounts[ties])])
    missed = np.zeros(of.account_count, dtype=bool)
    missed[members] = ~caught[members].any(axis=1)
    worded = _worded(of, labels, members, missed)
    shares = _missed_shares(labels[members], caught[members])
    strange = _strange(of, labels, worded, missed, _told(shares, worded))
    is_counted = np.append(shares < 1, False)[np.where(labels < len(shares), labels, -1)]
    return _Looked(strange | _mates(of, islands, strange, missed, worded.account), islands, is_counted)


class _Worded(NamedTuple):
    """Who holds which wordings: the `account` of each holding, and the `place` of its wording (holdings,).

    A wording is one of a cluster: `cluster`, its `value`, and how many members hold it and are missed (wordings,).
    """

    account: Ints
    place: Ints
    cluster: Ints
    value: Ints
    holders: Ints
    misses: Ints


def _worded(of: Holdings, labels: Ints, members: Ints, missed: Flags) -> _Worded:
    edges = of.edges_of(members)
    edges = edges[of.is_of(OWNED)[of.held[edges]]]
    account, size = of.accounts[edges], max(len(of.values), 1)
    names, place = np.unique(labels[account] * size + of.held[edges], return_inverse=True)
    misses = np.bincount(place[missed[account]], minlength=len(names))
    return _Worded(account, place, names // size, names % size, np.bincount(place, minlength=len(names)), misses)


def _islands(of: Holdings, ties: Ints, seed: int) -> Ints:
    """The island of each account, -1 for none, by edges that tie: (accounts,).

    Islands begin as pieces that hold together. Each of which a good share crosses joins the one that most of these
    cross to, again and again: one whose home connection is sold as an exit is no bridge for all of his class.
    """
    (accounts, row), (values, column) = _compact(of.accounts[ties]), _compact(of.held[ties])
    column, size = column + len(accounts), len(accounts) + len(values)
    island = _compact(pieces(linked(row, column, np.ones(len(row)), size), seed))[1]
    while True:
        crosses = np.flatnonzero(island[row] != island[column])
        account, other = distinct(np.stack([row[crosses], island[column[crosses]]]))
        across = np.bincount(island[_compact(account)[0]], minlength=size)
        people = np.bincount(island[: len(accounts)], minlength=size)
        joining = np.flatnonzero((across > 0) & (across >= CROSSING * people))
        if not len(joining):
            break
        nearest, _ = most(size, island[account], other)
        links = linked(joining, nearest[joining], np.ones(len(joining)), size)
        joined = csgraph.connected_components(links, directed=False)[1]
        island = joined.astype(np.int64)[island]
    islands = np.full(of.account_count, -1, dtype=np.int64)
    islands[accounts] = island[: len(accounts)]
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

    The larger of what lists that know nothing of one another would miss and of what Chao's bound says.

    `label` (members,) and the groups that catch each (members, groups).
    """
    count = int(label.max(initial=-1)) + 1
    missed, ways = np.ones(count), caught.sum(axis=1)
    for group in range(len(GROUPS)):
        others = ways > caught[:, group]
        tried = np.bincount(label[others], minlength=count)
        misses = np.bincount(label[others & ~caught[:, group]], minlength=count)
        told = np.flatnonzero((np.bincount(label[caught[:, group]], minlength=count) > 0) & (misses < tried))
        missed[told] *= _at_most(misses[told], (tried - misses)[told], MISSED_P_VALUE)
    once, twice = (np.bincount(label[ways == often], minlength=count) for often in (1, 2))
    unseen = once * np.maximum(once - 1, 0) / (2 * (twice + 1))
    seen = np.bincount(label[ways > 0], minlength=count)
    missed = np.maximum(missed, unseen / np.maximum(unseen + seen, 1))
    return KEPT_CLEAN + (1 - KEPT_CLEAN) * missed


def _at_most(misses: Ints, caught: Ints, p_value: float | Floats) -> Floats:
    """The share that is missed, as large as it may be but for one chance in so many (Clopper and Pearson)."""
    return np.asarray(stats.beta.isf(p_value, misses + 1, caught))


def _told(shares: Floats, worded: _Worded) -> Floats:
    """The shares of a hand's accounts that may be missed; by its wordings where the groups tell next to nothing.

    Whoever else is in the cluster, the hand's own wordings are missed as often as the hand is, so that the wording
    missed least says how often that may be at most; corrected for how many wordings there are: (clusters,).
    """
    tried = np.bincount(worded.cluster, minlength=len(shares))[worded.cluster]
    some = np.flatnonzero(worded.misses < worded.holders)
    misses, caught = worded.misses[some], (worded.holders - worded.misses)[some]
    told = np.ones(len(shares))
    np.minimum.at(told, worded.cluster[some], _at_most(misses, caught, MISSED_P_VALUE / tried[some]))
    return np.where(shares > NOTHING_TOLD, np.minimum(shares, KEPT_CLEAN + (1 - KEPT_CLEAN) * told), shares)


def _strange(of: Holdings, labels: Ints, worded: _Worded, missed: Flags, shares: Floats) -> Flags:
    """The missed accounts whom the wordings that they hold, or do not, make strangers: (accounts,).

    Steps 3 and 4 of the module summary.
    """
    account, place, cluster, value, holders, misses = worded
    strange = _refuted(cluster, holders, misses, shares)
    odd = np.bincount(account[strange[place]], minlength=of.account_count)
    exact = of.is_of([TEMPLATE])[value]
    typical = exact & (holders - misses >= MIN_ACCOUNTS) & (misses <= shares[cluster] * holders)
    gone = np.zeros(of.account_count, dtype=bool)
    for _ in range(2):  # what is the hand's own, with everybody and then without those who leave
        stay = np.bincount(place[~gone[account]], minlength=len(value))
        own = ~strange & (misses < holders) & (stay >= MIN_ACCOUNTS) & (stay > THEIR_SHARE * of.holder_counts[value])
        held, held_typical = (
            np.bincount(account[one[place]], minlength=of.account_count) for one in (own, own & typical)
        )
        speaks = any_of(of, account[(own & exact)[place]])
        gone = missed & (odd > 0) & ~(speaks & ((held > odd) | (held_typical >= MIN_WORDINGS)))
    silent = np.unique(account[~speaks[account]])
    holders, misses = (np.bincount(labels[who], minlength=len(shares)) for who in (silent, silent[missed[silent]]))
    out = _refuted(np.arange(len(shares)), holders, misses, shares)
    gone[silent] |= missed[silent] & out[labels[silent]]
    return gone


def _refuted(cluster: Ints, holders: Ints, misses: Ints, shares: Floats) -> Flags:
    """Of which sets of holders too many are missed for all to be their cluster's: (sets,)."""
    asked = np.flatnonzero(misses)
    tried = np.bincount(cluster[asked], minlength=len(shares))[cluster[asked]]
    chance = stats.binom.sf(misses[asked] - 1, holders[asked], shares[cluster[asked]])
    refuted = np.zeros(len(cluster), dtype=bool)
    refuted[asked] = chance * tried <= STRANGE_P_VALUE
    return refuted


def _mates(of: Holdings, islands: Ints, strange: Flags, missed: Flags, worded: Ints) -> Flags:
    """Missed accounts on islands of strange ones that go along: all where these are many, else whom no wording holds.

    `worded` are accounts that hold a wording, each as often as it likes: (accounts,); step 5 of the module summary.
    """
    count = int(islands.max(initial=-1)) + 1
    people, strangers = (np.bincount(islands[who & (islands >= 0)], minlength=count) for who in (islands >= 0, strange))
    some = np.append(strangers > 0, False)[islands]  # the last for -1
    many = np.append(strangers > LED * people, False)[islands]
    return missed & (many | (some & ~any_of(of, worded)))
