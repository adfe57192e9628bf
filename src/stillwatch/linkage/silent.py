"""Silent members: where nearly all of a cluster say what is its own, whoever says other things only is let go.

Why:    a card, a place or an hour shared with a campaign can be chance, a household or a firm. What a campaign says is
        what it is for: nobody is charged with that who says none of it. Whoever says nothing at all may be a newcomer.
Misses: innocents in clusters of which more than one in ten say nothing of their own; accounts of a campaign that only
        talk of other things are let go.
Source: own; measured in decision 60.
"""

import numpy as np

from stillwatch.linkage.holdings import CONTENT, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest

SAYING = 0.9  # share of a cluster's members that say what is its own; where fewer do, its hand is silent at times
AGREEING = 2  # members that say it: a new wording of a campaign begins with few
THEIRS = 1 / 3  # of the holders of what is a cluster's own are members: others of a campaign may not be found


def without_silent(of: Holdings, labels: Ints) -> Ints:
    """The labels without members who hold wordings, none of which is their cluster's own: (accounts,).

    Only where at least SAYING of a cluster's members hold one that is.
    """
    content = np.flatnonzero(of.group == CONTENT)
    home, inside = commonest(of, labels, content)
    own = content[(inside[content] >= AGREEING) & (inside[content] > THEIRS * of.holder_counts[content])]
    account, value = of.holders_of(own)
    says, is_member = any_of(of, account[labels[account] == home[value]]), labels >= 0
    count = int(labels.max(initial=-1)) + 1
    saying, members = (np.bincount(labels[who & is_member], minlength=count) for who in (says, is_member))
    is_told = np.append(saying >= SAYING * members, False)[labels]  # the last for -1
    edges = of.edges_of(np.flatnonzero(is_told & ~says))
    talking = of.accounts[edges[of.group[of.held[edges]] == CONTENT]]
    return np.where(any_of(of, talking), -1, labels)
