"""Who belongs to which cluster: what a cluster owns, and what else ties an account to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from stillwatch.linkage.cells import DURABLE, ownable
from stillwatch.linkage.holdings import CONTENT, PARTNER, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest, distinct, most
from stillwatch.linkage.merging import CHEAP, CROWD, MIN_POINTS, POINTS, TIMING, Linkable
from stillwatch.membership import LOOSE, MIN_ACCOUNTS, SETTING, TIE_SHARE
from stillwatch.records import TEMPLATE_KINDS

Flags = NDArray[np.bool_]

MIN_WORDINGS = 2  # owned wordings that make a member by themselves: one alone is a sentence somebody else may use
MIN_SETTINGS = 4  # rewordings whose owned settings make a member with no other wording: strangers share two or three
OWN_SHARE = 0.9  # of the holders of a template that must belong to a cluster for it to be the cluster's own
EASED = (0.6, 0.7, 0.8)  # the same in the first passes over cells just cut, so that stragglers find home
EASED_AMONG = 0.04  # of all accounts, at most, that hold a wording for which less suffices: more is a public tool's
CHEAP_LIFT = 32.0  # how many times commoner in a cluster than elsewhere an address must be to count beside a card
MIN_MINE = 2  # other members that hold it
PASSES = 6  # of settling; two or three are usual


@dataclass(frozen=True, slots=True)
class Ties:
    """For each account the cluster that ties it most, -1 for none, and the points of these ties: (accounts,) each."""

    home: Ints
    points: Ints


def settled(by: Linkable, labels: Ints, eased: Sequence[float] = ()) -> tuple[Ints, Ints]:
    """Admit and dismiss accounts until nothing changes; labels, and the cluster that owns each template.

    `eased` are the shares that own a template in the first passes, in place of OWN_SHARE.
    """
    own = np.full(len(by.of.values), -1, dtype=np.int64)
    wordings = ownable(by.of)
    for share in (*eased, *repeat(OWN_SHARE, PASSES)):
        before, common = labels, commonest(by.of, labels)
        strict = _strict_ties(by, labels, common)
        ties = _with_timing(by, strict, labels)
        ties = ties[:, ties[2] != PARTNER]  # a lead and a wording are one fact
        apart = _strongest(by.of, ties).home
        dear = _strongest(by.of, ties[:, POINTS[ties[2]] > 1]).home
        own = _owners(by.of, wordings, labels, common, apart, share)
        loose = np.concatenate([strict, _loose_ties(by.of, wordings, labels, common)], axis=1)
        tied = _strongest(by.of, _with_timing(by, loose, labels))
        labels = np.where(by.eligible, _belonging(by.of, own, apart, dear, tied), -1)
        if share == OWN_SHARE and np.array_equal(labels, before):
            break
    return labels, own


def tied_apart(by: Linkable, labels: Ints) -> Ints:
    """The cluster that something other than content ties each account to, -1 for none: (accounts,)."""
    strict = _strict_ties(by, labels, commonest(by.of, labels))
    strict = strict[:, strict[2] != PARTNER]
    return _strongest(by.of, _with_timing(by, strict, labels)).home


def tied_otherwise(by: Linkable, labels: Ints) -> Ints:
    """The same, where a habit that is far commoner in the cluster is enough: (accounts,)."""
    common = commonest(by.of, labels)
    loose = _loose_ties(by.of, np.zeros(len(by.of.values), dtype=bool), labels, common)
    ties = np.concatenate([_strict_ties(by, labels, common), loose], axis=1)
    return _strongest(by.of, _with_timing(by, ties[:, ties[2] != PARTNER], labels)).home


def tying(by: Linkable, labels: Ints, accounts: Ints) -> Ints:
    """Edges of some accounts, in order, to values that tie them to their own cluster, neither content nor leads."""
    of, edge, usable = by.of, by.of.edges_of(accounts), tying_values(by, accounts)
    edge = edge[usable[of.held[edge]]]
    home, inside = commonest(of, labels, np.flatnonzero(usable))
    account, value = of.accounts[edge], of.held[edge]
    at_home = (labels[account] >= 0) & (labels[account] == home[value])
    return edge[at_home & _is_mostly_theirs(of, value, inside[value] - 1)]


def tying_values(by: Linkable, accounts: Ints) -> Flags:
    """Values of some accounts that something independent speaks for, neither content nor leads: (values,)."""
    held = np.zeros(len(by.of.values), dtype=bool)
    held[by.of.held[by.of.edges_of(accounts)]] = True
    return held & by.weighed.valid & (by.of.group != CONTENT) & (by.of.group != PARTNER)


# Ties are triples (3, ties): account, cluster, group; each once.


def _strict_ties(by: Linkable, labels: Ints, common: tuple[Ints, Ints]) -> Ints:
    """Values, no content, that something independent speaks for and whose other holders are mostly in one cluster.

    Where crowds suffice, a card, device or telephone of several members counts once more.
    """
    of = by.of
    values = np.flatnonzero(by.weighed.valid & (of.group != CONTENT) & (common[1] >= 1))
    values = values[_is_mostly_theirs(of, values, common[1][values])]
    account, value, mine = _shared(of, values, labels, common)
    telling = _is_mostly_theirs(of, value, mine)
    durable = np.isin(of.group[value], DURABLE)
    crowded = telling & (mine >= MIN_ACCOUNTS) & durable & by.by_crowds[account]
    crowd = _triples(of, account[crowded], value[crowded], common)
    crowd[2] = CROWD
    return np.concatenate([_triples(of, account[telling], value[telling], common), distinct(crowd)], axis=1)


def _loose_ties(of: Holdings, wordings: Flags, labels: Ints, common: tuple[Ints, Ints]) -> Ints:
    """What ties an account only together with something dearer.

    Exact wordings whose other holders are mostly in one cluster; addresses and sign-up habits far commoner in it.
    """
    home, inside = common
    usable = wordings & ~of.is_of(LOOSE) | np.isin(of.group, CHEAP) & (of.group != CONTENT)
    values = np.flatnonzero(usable & (inside >= 1))
    loose = _is_loose(of, labels, home[values], values, inside[values])  # no holder has more of the others there
    account, value, mine = _shared(of, values[loose], labels, common)
    loose = _is_loose(of, labels, home[value], value, mine)
    return _triples(of, account[loose], value[loose], common)


def _is_loose(of: Holdings, labels: Ints, home: Ints, value: Ints, mine: Ints) -> Flags:
    """Whether so many other holders of a value in a cluster suffice for a loose tie: as `home`, `value` and `mine`."""
    others = np.maximum(of.holder_counts[value] - 1, 1)
    size = np.append(np.bincount(labels[labels >= 0]), 1)[home]
    lift = ((mine + 0.5) / (size + 1.0)) / ((np.maximum(others - mine, 0) + 0.5) / (of.account_count - size + 1.0))
    own = (of.group[value] == CONTENT) & (mine >= MIN_ACCOUNTS) & (mine >= TIE_SHARE * others)
    habit = (of.group[value] != CONTENT) & (mine >= MIN_MINE) & (lift >= CHEAP_LIFT)
    return own | habit


def _shared(of: Holdings, values: Ints, labels: Ints, common: tuple[Ints, Ints]) -> tuple[Ints, Ints, Ints]:
    """Account and value of edges, and how many others in the cluster with most holders hold it: (edges,) each."""
    home, inside = common
    account, value = of.holders_of(values)
    return account, value, inside[value] - (labels[account] == home[value])


def _is_mostly_theirs(of: Holdings, value: Ints, mine: Ints) -> Flags:
    """Whether of the other holders of a value, `mine` are mostly all: as `value` and `mine`."""
    return (mine >= 1) & (mine >= TIE_SHARE * np.maximum(of.holder_counts[value] - 1, 1))


def _triples(of: Holdings, account: Ints, value: Ints, common: tuple[Ints, Ints]) -> Ints:
    return distinct(np.stack([account, common[0][value], of.group[value]]))


def _with_timing(by: Linkable, triples: Ints, labels: Ints) -> Ints:
    """The ties, and timing for the accounts among them, and for members, that are in step with their cluster."""
    inside = np.flatnonzero(labels >= 0)
    pairs = distinct(np.concatenate([triples[:2], np.stack([inside, labels[inside]])], axis=1))
    timed = pairs[:, by.synchrony.in_step(labels, pairs[0], pairs[1])]
    timing = np.full((1, timed.shape[1]), TIMING)
    return distinct(np.concatenate([triples, np.concatenate([timed, timing])], axis=1))


def _strongest(of: Holdings, triples: Ints) -> Ties:
    weighted = np.repeat(triples, POINTS[triples[2]], axis=1)
    return Ties(*most(of.account_count, weighted[0], weighted[1]))


def _owners(of: Holdings, ownable: Flags, labels: Ints, common: tuple[Ints, Ints], tied: Ints, share: float) -> Ints:
    """The cluster that owns each template, -1 for none; step 3 of the module summary."""
    home, inside = common
    holders = of.holder_counts
    is_eased = (holders <= EASED_AMONG * of.account_count) & ~of.is_of([SETTING])
    needed = np.where(is_eased, share, OWN_SHARE) * holders
    own = np.where(ownable & (inside >= needed) & (inside >= MIN_ACCOUNTS), home, -1)
    values = np.flatnonzero(own >= 0)
    account, value = of.holders_of(values)
    place, at_home = np.repeat(np.arange(len(values)), holders[values]), labels[account] == own[value]
    while True:
        account, place = account[at_home], place[at_home]
        owned = np.bincount(account, minlength=of.account_count)
        otherwise = (owned[account] >= 2) | (tied[account] == labels[account])
        supported = np.bincount(place[otherwise], minlength=len(values))
        lost = (own[values] >= 0) & ((supported < needed[values]) | (supported < MIN_ACCOUNTS))
        if not lost.any():
            return own
        own[values[lost]] = -1
        at_home = ~lost[place]


def _belonging(of: Holdings, own: Ints, apart: Ints, dear: Ints, tied: Ties) -> Ints:
    """Cluster of each account: whose wordings it holds, else the one it has MIN_POINTS with.

    Two owned wordings make a member, one of them a template or a rewording, and a rewording with its settings is one.
    Settings alone make one where they are of MIN_SETTINGS rewordings, as a stranger's slots may begin and end alike.
    One wording is enough where another group ties the account to the same cluster (`apart`). Where that one is a
    rewording, which may be a mere sentence, the other group must cost something to share (`dear`).
    """
    account, value = of.holders_of(np.flatnonzero(own >= 0))
    once = distinct(np.stack([account, own[value], of.root[value]]))
    home, often = most(of.account_count, once[0], once[1])
    at_home = own[value] == home[account]
    speaks = any_of(of, account[at_home & of.is_of(TEMPLATE_KINDS)[value]])
    exact = any_of(of, account[at_home & ~of.is_of(LOOSE)[value]])
    enough = often >= np.where(speaks, MIN_WORDINGS, MIN_SETTINGS)
    by_wording = (home >= 0) & (enough | (np.where(exact, apart, dear) == home))
    return np.where(by_wording, home, np.where(tied.points >= MIN_POINTS, tied.home, -1))
