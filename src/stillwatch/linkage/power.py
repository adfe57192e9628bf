"""The smallest campaign this deployment's traffic would let us see.

Why:    silence means nothing without knowing what would have been heard.
Misses: it speaks of accounts that all share a few traits nobody else holds; untidier campaigns must be larger.
Source: Beutel et al., "CopyCatch", WWW 2013, states what its method cannot see; the computation here is our own.
"""

from dataclasses import dataclass

from scipy import stats

from stillwatch.linkage.holdings import GROUPS, Holdings
from stillwatch.linkage.weights import mixing
from stillwatch.membership import WORDINGS
from stillwatch.records import KINDS, TEMPLATE_KINDS

LARGEST = 1000
SMALLEST = 5  # principals that the coordination test needs at least
TRAITS = 4  # templates, and addresses, that every account of the imagined campaign holds
WORDED = "four templates and four addresses that all of its accounts hold and nobody else"
UNWORDED = "one card and one device that all of its accounts hold and nobody else"

Kinds = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detectable:
    """How many accounts the smallest campaign has, and what it is imagined to share, in words."""

    accounts: int
    assumes: str


def minimum_detectable(of: Holdings, *, fdr: float) -> Detectable | None:
    """The smallest campaign whose shared traits would pass validation; null when none would.

    All of its accounts hold TRAITS templates and TRAITS addresses that nobody else holds; where the data hold no
    wordings at all, one card and one device.
    """
    if of.is_of(WORDINGS).any():
        return _smallest(of, (TEMPLATE_KINDS, ("ip",)), TRAITS, fdr, WORDED)
    if of.is_of(("payment",)).any() and of.is_of(("device",)).any():
        return _smallest(of, (("payment",), ("device",)), 1, fdr, UNWORDED)
    return None


def _smallest(of: Holdings, kinds: tuple[Kinds, Kinds], traits: int, fdr: float, assumes: str) -> Detectable | None:
    """The smallest campaign each of whose accounts holds so many values of both, that nobody else holds."""
    one, other = (GROUPS.index(KINDS[each[0]][1]) for each in kinds)
    chance = mixing(of)[one, other] or 1.0 / max(of.account_count, 1)
    tried = max(int(of.is_of(kinds[0]).sum()) * int(of.is_of(kinds[1]).sum()), TRAITS**2)
    for accounts in range(SMALLEST, min(LARGEST, of.account_count // 2)):
        p_value = float(stats.poisson.sf(accounts - 1, accounts**2 * chance))
        if p_value <= fdr * traits**2 / tried:
            return Detectable(accounts, assumes)
    return None
