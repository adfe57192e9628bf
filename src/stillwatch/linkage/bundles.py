"""Bundles: values of one group that the same accounts hold, such as the templates of one campaign or a pool of exits.

Why:    a campaign deals many templates out over its accounts, so any one of them is held by few; together they are
        held by all of them. A bundle can be tested against cards and devices where single templates are too thin.
Misses: campaigns whose accounts hold one template each.
Source: own; overlap and chance as in `weights`, communities by Leiden (Traag et al. 2019), CPM.

An account holds a bundle when it holds at least MIN_HELD of its values. Bundles are no evidence by themselves: a public
tool's prompts make one too, and like every value they have to be corroborated by an independent group.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from stillwatch.linkage.communities import leiden
from stillwatch.linkage.holdings import GROUPS, Holdings, Ints, with_values
from stillwatch.linkage.weights import mixing, overlap_p_values, overlaps

KINDS_OF_BUNDLES = {"content": "template_bundle", "network": "address_pool"}
MIN_HELD = 3  # values of a bundle an account must hold: two can be a coincidence of taste
MIN_OVERLAP = 3  # accounts two values must have in common before they are compared
P_VALUE = 1e-6  # of an overlap; strict, because every pair of values that meets is tried
RESOLUTION = 0.05  # CPM density of co-holding inside a bundle
MIN_ACCOUNTS = 3


def bundled(of: Holdings, *, seed: int) -> Holdings:
    """The holdings with one more value per bundle found in each group that has bundles."""
    accounts: list[Ints] = []
    kinds: list[str] = []
    names: list[str] = []
    for group, kind in KINDS_OF_BUNDLES.items():
        labels = _bundles(of, of.group == GROUPS.index(group), seed)
        for bundle in range(int(labels.max(initial=-1)) + 1):
            inside = labels == bundle
            count = np.bincount(of.accounts[inside[of.held]], minlength=of.account_count)
            holders = np.flatnonzero(count >= MIN_HELD)
            if len(holders) >= MIN_ACCOUNTS:
                accounts.append(holders)
                kinds.append(kind)
                names.append(min(of.values[value] for value in np.flatnonzero(inside)))
    return with_values(of, accounts, kinds, names)


def _bundles(of: Holdings, wanted: NDArray[np.bool_], seed: int) -> Ints:
    """Bundle of each value, (values,), -1 for none."""
    together = overlaps(of, wanted, wanted, MIN_OVERLAP)
    holders = of.holder_counts.astype(np.float64)
    left, right = together.row, together.col
    expected = holders[left] * holders[right] * mixing(of)[of.group[left], of.group[right]]
    fewer = np.minimum(holders[left], holders[right])
    kept = overlap_p_values(together.data, fewer, expected) <= P_VALUE
    labels = np.full(len(of.values), -1, dtype=np.int64)
    if not kept.any():
        return labels
    weight = together.data[kept] / np.sqrt(holders[left[kept]] * holders[right[kept]])
    shape = (len(of.values), len(of.values))
    upper = sparse.coo_array((weight, (left[kept], right[kept])), shape=shape).tocsr()
    found = leiden((upper + upper.T).tocsr(), RESOLUTION, seed)
    linked = np.zeros(len(of.values), dtype=bool)
    linked[left[kept]] = linked[right[kept]] = True
    _, inverse, sizes = np.unique(found[linked], return_inverse=True, return_counts=True)
    large = np.cumsum(sizes >= MIN_HELD) - 1
    labels[linked] = np.where(sizes[inverse] >= MIN_HELD, large[inverse], -1)
    return labels
