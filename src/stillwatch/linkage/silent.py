"""What members say: where nearly all of a cluster say what is its own, whoever says other things is let go, or apart.

Why:    a card, a place or an hour shared with a campaign can be chance, a household or a firm. What a campaign says is
        what it is for: nobody is charged with that who says none of it. Whoever says nothing at all may be a newcomer.
Misses: innocents in clusters of which more than one in ten say nothing of their own; accounts of a campaign that only
        talk of other things are let go.
Source: own; measured in decisions 60 and 79.
"""

import numpy as np
from scipy.sparse import csgraph

from stillwatch.linkage.cells import linked
from stillwatch.linkage.holdings import CONTENT, GROUPS, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest

SAYING = 0.9  # share of a cluster's members that say what is its own; where fewer do, its hand is silent at times
AGREEING = 2  # members that say it: a new wording of a campaign begins with few
THEIRS = 1 / 3  # of the holders of what is a cluster's own are members: others of a campaign may not be found
BODY = 5  # members who say other things together: fewer may begin with a new wording, and are no cluster
SAID = [CONTENT, GROUPS.index("artefact")]  # groups of what is said, and of reasoning that is handed on


def without_silent(of: Holdings, labels: Ints) -> Ints:
    """The labels without members who hold wordings, none of which is their cluster's own: (accounts,).

    Only where at least SAYING of a cluster's members hold one that is.
    """
    account, _ = _own(of, labels, np.flatnonzero(of.group == CONTENT))
    says, is_member = any_of(of, account), labels >= 0
    count = int(labels.max(initial=-1)) + 1
    saying, members = (np.bincount(labels[who & is_member], minlength=count) for who in (says, is_member))
    is_told = np.append(saying >= SAYING * members, False)[labels]  # the last for -1
    edges = of.edges_of(np.flatnonzero(is_told & ~says))
    talking = of.accounts[edges[of.group[of.held[edges]] == CONTENT]]
    return np.where(any_of(of, talking), -1, labels)


def bodies_apart(of: Holdings, labels: Ints) -> Ints:
    """The labels, with new ones for BODY members or more who say what is their cluster's own and the others do not.

    Only where at least SAYING of a cluster's members hang together by what is its own: (accounts,).
    """
    account, value = _own(of, labels, np.flatnonzero(np.isin(of.group, SAID)))
    graph = linked(account, value + of.account_count, np.ones(len(account)), of.account_count + len(of.values))
    body = csgraph.connected_components(graph, directed=False)[1][: of.account_count]  # of one cluster each
    says = np.flatnonzero(any_of(of, account))
    members = np.bincount(labels[labels >= 0], minlength=1)
    size, largest = np.bincount(body[says], minlength=1), np.zeros(len(members), dtype=np.int64)
    np.maximum.at(largest, labels[says], size[body[says]])
    most = largest[labels[says]]
    is_apart = (most >= SAYING * members[labels[says]]) & (size[body[says]] < most) & (size[body[says]] >= BODY)
    apart = labels.copy()
    apart[says[is_apart]] = labels.max(initial=-1) + 1 + body[says[is_apart]]
    return apart


def _own(of: Holdings, labels: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Account and value of the edges of members to those of some values that are their cluster's own."""
    home, inside = commonest(of, labels, values)
    own = values[(inside[values] >= AGREEING) & (inside[values] > THEIRS * of.holder_counts[values])]
    account, value = of.holders_of(own)
    at_home = labels[account] == home[value]
    return account[at_home], value[at_home]
