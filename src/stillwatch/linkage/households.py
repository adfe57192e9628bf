"""Households: what two to four people share, who then stand in a cluster together whatever took one of them there.

Why:    partners share a card, a device and an address. Where a wording takes one of them into a cluster, the others
        follow by what they share, so that each card in it looks impossible by chance, and two families make a
        "campaign" of everybody who uses one public prompt.
Misses: operators who give each card to four accounts at most, in clusters so small that their cards are no more than
        chance brings.
Source: own; the unit that is drawn is the household and not the account, as in cluster sampling (Kish, "Survey
        Sampling", 1965, ch. 5).

So what so few share ties a cluster only when more of its households share something than of households anywhere.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from stillwatch.linkage.holdings import CONTENT, GROUPS, Holdings, Ints

MOST = 4  # accounts that hold a value for it to be a household's; five independent principals are none any more

Flags = NDArray[np.bool_]


class Households:
    """Which values are a household's, and how common such households are among all accounts, by group."""

    def __init__(self, of: Holdings) -> None:
        """Count them once for all clusters."""
        self.is_theirs: Flags = (of.holder_counts <= MOST) & (of.group != CONTENT)
        self._share = np.zeros(len(GROUPS))
        theirs = self.is_theirs[of.held]
        for group in range(len(GROUPS)):
            holders = len(np.unique(of.accounts[theirs & (of.group[of.held] == group)]))
            self._share[group] = _share(holders, of.account_count)

    def p_value(self, group: int, holders: int, accounts: int) -> float:
        """Chance that of `accounts` drawn by household so many or more share something of the group with a mate."""
        if holders < 2:
            return 1.0
        households = -(-holders // 2)
        return float(binom.sf(households - 1, accounts - holders + households, self._share[group]))


def _share(holders: int, accounts: int) -> float:
    """Share of all households that have somebody to share with, all taken for couples, the most they can be."""
    couples = holders / 2
    return couples / max(accounts - couples, 1.0)


def holders_of(accounts: Ints, held: Ints, values: Ints) -> int:
    """Accounts among the edges that hold any of the values."""
    return len(np.unique(accounts[np.isin(held, values)]))
