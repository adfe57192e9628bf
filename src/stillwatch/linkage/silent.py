"""What members say: where nearly all of a cluster say what is its own, whoever says other things is let go, or apart.

Why:    a card, a place or an hour shared with a campaign can be chance, a household or a firm. What a campaign says is
        what it is for: nobody is charged with that who says none of it. Whoever says nothing at all may be a newcomer.
Misses: innocents in clusters of which more than one in ten say nothing of their own; accounts of a campaign that only
        talk of other things are let go.
Source: own; measured in decisions 60 and 79.
"""

from collections.abc import Sequence

import numpy as np

from stillwatch.linkage.cells import Flags, components
from stillwatch.linkage.holdings import CONTENT, HANGING, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest

SAYING = 0.9  # share of a cluster's members that say what is its own; where fewer do, its hand is silent at times
AGREEING = 2  # members that say it: a new wording of a campaign begins with few
THEIRS = 1 / 3  # of the holders of what is a cluster's own are members: others of a campaign may not be found
BODY = 5  # members who say other things together: fewer may begin with a new wording, and are no cluster


def without_silent(of: Holdings, labels: Ints) -> Ints:
    """The labels without members who hold wordings, none of which is their cluster's own: (accounts,).

    Only where at least SAYING of a cluster's members hold one that is.
    """
    says, is_member = any_of(of, of.accounts[_own(of, labels, (CONTENT,))]), labels >= 0
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
    body = components(of, _own(of, labels, HANGING))  # each of one cluster
    says = np.flatnonzero(body >= 0)
    home, members = labels[says], np.bincount(labels[labels >= 0], minlength=1)
    size, largest = np.bincount(body[says], minlength=1)[body[says]], np.zeros(len(members), dtype=np.int64)
    np.maximum.at(largest, home, size)
    is_apart = (largest[home] >= SAYING * members[home]) & (size < largest[home]) & (size >= BODY)
    apart = labels.copy()
    apart[says[is_apart]] = len(members) + body[says[is_apart]]
    return apart


def _own(of: Holdings, labels: Ints, groups: Sequence[int]) -> Flags:
    """The edges of members to values of some groups that are their cluster's own: (edges,)."""
    values = np.flatnonzero(np.isin(of.group, groups))
    home, inside = commonest(of, labels, values)
    is_own = (inside >= AGREEING) & (inside > THEIRS * of.holder_counts)
    return is_own[of.held] & (labels[of.accounts] == home[of.held])
