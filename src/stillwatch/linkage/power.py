"""The smallest campaign this deployment's traffic would let us see.

Why:    silence means nothing without knowing what would have been heard.
Misses: it speaks of accounts that all share a few traits nobody else holds; untidier campaigns must be larger.
Source: Beutel et al., "CopyCatch", WWW 2013, states what its method cannot see; the computation here is our own.
"""

from scipy import stats

from stillwatch.linkage.holdings import GROUPS, Holdings
from stillwatch.linkage.weights import mixing
from stillwatch.records import TEMPLATE_KINDS

LARGEST = 1000
SMALLEST = 5  # principals that the coordination test needs at least
TRAITS = 4  # templates, and addresses, that every account of the imagined campaign holds


def minimum_detectable(of: Holdings, *, fdr: float) -> int | None:
    """Accounts of the smallest campaign whose shared traits would pass validation; null when none would.

    All of its accounts hold TRAITS templates and TRAITS addresses that nobody else holds.
    """
    chance = mixing(of)[GROUPS.index("content"), GROUPS.index("network")] or 1.0 / max(of.account_count, 1)
    tried = max(int(of.is_of(TEMPLATE_KINDS).sum()) * int(of.is_of(["ip"]).sum()), TRAITS**2)
    for accounts in range(SMALLEST, min(LARGEST, of.account_count // 2)):
        p_value = float(stats.poisson.sf(accounts - 1, accounts**2 * chance))
        if p_value <= fdr * TRAITS**2 / tried:
            return accounts
    return None
