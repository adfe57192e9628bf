"""Households: what two to four people share, who then stand in a cluster together whatever took one of them there.

Why:    partners share a card, a device and an address. Where a wording takes one of them into a cluster, the others
        follow by what they share, so that each card in it looks impossible by chance, and two families make a
        "campaign" of everybody who uses one public prompt.
Misses: operators who give each card to four accounts at most, in clusters so small that their cards are no more than
        chance brings.
Source: own; the unit that is drawn is the household and not the account, as in cluster sampling (Kish, "Survey
        Sampling", 1965, ch. 5).

So what so few share ties a cluster only when more of its households share something than of households anywhere, and
than of those that hold one of its wordings. Who holds it and lives alone has nobody to follow, and is no member: the
cluster is full of couples, though they are no commoner among the wording's holders than anywhere.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from stillwatch.linkage.holdings import CONTENT, GROUPS, Floats, Holdings, Ints

MOST = 4  # accounts that hold a value for it to be a household's; five independent principals are none any more

Flags = NDArray[np.bool_]


class Households:
    """Which values are a household's, and how common such households are among all accounts, by group."""

    def __init__(self, of: Holdings) -> None:
        """Count them once for all clusters."""
        self.is_theirs: Flags = (of.holder_counts <= MOST) & (of.group != CONTENT)
        self._totals, self._share = of.holder_counts, np.zeros(len(GROUPS))
        theirs = self.is_theirs[of.held]
        for group in range(len(GROUPS)):
            holders = len(np.unique(of.accounts[theirs & (of.group[of.held] == group)]))
            self._share[group] = _share(holders, of.account_count)

    def p_value(self, group: int, holders: int, accounts: int) -> float:
        """Chance that of `accounts` drawn by household so many or more share something of the group with a mate."""
        if holders < 2:
            return 1.0
        return float(self._chance(group, np.array([holders]), np.array([accounts]))[0])

    def p_value_among_sayers(self, group: int, mates: Ints, wordings: Ints) -> float:
        """The same among all who hold a wording: the least of some wordings, corrected for how many there are.

        `mates` are the values that members with a mate hold, each as often as it is held.
        """
        said, holders = np.unique(mates[np.isin(mates, wordings)], return_counts=True)
        chances = self._chance(group, holders, self._totals[said])
        return float(min(chances.min(initial=1.0) * len(wordings), 1.0))

    def _chance(self, group: int, holders: Ints, accounts: Ints) -> Floats:
        """Of so many or more households, of which `holders` are members, all taken for couples: as `holders`."""
        households = -(-holders // 2)
        return np.asarray(binom.sf(households - 1, accounts - holders + households, self._share[group]))


def _share(holders: int, accounts: int) -> float:
    """Share of all households that have somebody to share with, all taken for couples, the most they can be."""
    couples = holders / 2
    return couples / max(accounts - couples, 1.0)


def holders_of(accounts: Ints, held: Ints, values: Ints) -> int:
    """Accounts among the edges that hold any of the values."""
    return len(np.unique(accounts[np.isin(held, values)]))
