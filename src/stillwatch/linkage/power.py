"""The smallest campaign this deployment's traffic would let us see.

Why:    silence means nothing without knowing what would have been heard.
Misses: it speaks of accounts that share one template and one rare further trait; cleaner campaigns must be larger.
Source: Beutel et al., "CopyCatch", WWW 2013, states what its method cannot see; the computation here is our own.
"""

from scipy import stats

from stillwatch.linkage.holdings import Holdings

LARGEST = 1000
SMALLEST = 3  # principals a campaign needs at least


def minimum_detectable(of: Holdings, *, fdr: float) -> int | None:
    """Accounts of the smallest campaign whose two traits would pass validation; null when none would.

    All of them hold one template and one further trait that nobody else holds, and it is the only association.
    """
    tried = max(len(of.values), 2) ** 2 / 2
    for accounts in range(SMALLEST, min(LARGEST, of.account_count // 2)):
        p_value = float(stats.poisson.sf(accounts - 1, accounts**2 / of.account_count))
        if p_value <= fdr / tried:
            return accounts
    return None
