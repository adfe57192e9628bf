"""What sharing a trait is worth, in bits, learned value by value; and which values pass as more than chance.

Why:    a carrier's address, a popular public prompt or a default client is shared by strangers; a card shared by
        accounts that also share templates is not. Whether the holders of a value also share *independent* groups of
        traits tells the two apart without any allow-list.
Misses: a trait that common control never accompanies with any other (one perfectly clean group of evidence).
Source: validated projection of a bipartite graph on its trait side: Saracco et al., New J. Phys. 19 (2017) 053022,
        with the sparse degree-preserving expectation of Chung & Lu, PNAS 99 (2002) 15879-15882. False-discovery rate:
        Benjamini & Hochberg, JRSS B 57 (1995) 289-300. Weights as log-likelihood ratios: Fellegi & Sunter, JASA 64
        (1969) 1183-1210.

    1. Overlap: accounts that hold both of two values of independent groups. Only pairs that do occur are counted, so
       the cost follows the accounts, not the pairs of accounts.
    2. Chance: the overlap expected when accounts keep how many values they hold and values how many holders they
       have; the tail is Poisson.
    3. A pair of values whose overlap is too large for chance at the run's false-discovery rate is an association.
    4. A holder of a value is corroborated when it also holds a value associated with it. The share of corroborated
       holders estimates the share under common control.
    5. Weight = log2 of posterior over prior odds that two holders are under one control.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints

COMMON_SHARE = 0.25  # a value held by more accounts than this corroborates nothing
MIN_OVERLAP = 2  # accounts that must hold both values
MAX_HELD = 256  # rarest values of an account that are paired: bounds the cost of one account at 32,000 pairs
PRIOR_HOLDERS = 2.0  # strength of the assumption that a value means nothing [holders]


@dataclass(frozen=True, slots=True)
class Weights:
    """Per value, (values,) each: `control` is the share of holders that an independent group corroborates, `bits` the
    weight, `valid` whether any association passed the run's false-discovery rate."""

    control: Floats
    bits: Floats
    valid: NDArray[np.bool_]


def weights(of: Holdings, *, fdr: float = 0.01) -> Weights:
    """Learn what every value is worth."""
    size = len(of.values)
    left, right = associations(of, fdr=fdr)
    corroborated = _corroborated_holders(of, left, right)
    holders = of.holder_counts
    control = corroborated / (holders + PRIOR_HOLDERS)
    valid = np.zeros(size, dtype=bool)
    valid[left] = valid[right] = True
    return Weights(control, np.where(valid, _bits(control, of.account_count), 0.0), valid)


def associations(of: Holdings, *, fdr: float) -> tuple[Ints, Ints]:
    """Pairs of values of independent groups that occur together too often for chance; left < right."""
    rare = of.holder_counts <= max(COMMON_SHARE * of.account_count, MIN_OVERLAP)
    overlap = _overlaps(of, rare)
    if not overlap.nnz:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    left, right = overlap.row.astype(np.int64), overlap.col.astype(np.int64)
    holders = of.holder_counts.astype(np.float64)
    expected = holders[left] * holders[right] * _mixing(of)[of.group[left], of.group[right]]
    p_values = stats.poisson.sf(overlap.data - 1, expected)
    kept = _below(p_values, fdr, _pairs_tried(of, rare))
    return left[kept], right[kept]


def _overlaps(of: Holdings, rare: NDArray[np.bool_]) -> sparse.coo_array:
    """Accounts that hold both of two rare values of different groups, where at least MIN_OVERLAP do."""
    keep = rare[of.held] & _among_rarest(of)
    ones = np.ones(int(keep.sum()), dtype=np.int32)
    incidence = sparse.coo_array(
        (ones, (of.accounts[keep], of.held[keep])), shape=(of.account_count, len(of.values))
    ).tocsr()
    together = sparse.triu(incidence.T @ incidence, k=1).tocoo()
    wanted = (together.data >= MIN_OVERLAP) & (of.group[together.row] != of.group[together.col])
    cells = (together.data[wanted], (together.row[wanted], together.col[wanted]))
    return sparse.coo_array(cells, shape=together.shape)


def _among_rarest(of: Holdings) -> NDArray[np.bool_]:
    """Whether an edge leads to one of its account's MAX_HELD rarest values: (edges,)."""
    order = np.lexsort((of.held, of.holder_counts[of.held], of.accounts))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - of.start[of.accounts[order]]
    return rank < MAX_HELD


def _mixing(of: Holdings) -> Floats:
    """Expected overlap of two values per product of their holders, by pair of groups: (groups, groups).

    Were all accounts alike it would be one over the accounts; accounts that hold much in both groups raise it.
    """
    held = of.degree.astype(np.float64)
    totals = held.sum(axis=0)
    return np.asarray((held.T @ held) / np.maximum(np.outer(totals, totals), 1.0))


def _pairs_tried(of: Holdings, rare: NDArray[np.bool_]) -> float:
    """Pairs of rare values of different groups: every one of them could have come out as an association."""
    per_group = np.bincount(of.group[rare], minlength=len(GROUPS)).astype(np.float64)
    return float((per_group.sum() ** 2 - (per_group**2).sum()) / 2)


def _below(p_values: Floats, fdr: float, tried: float) -> NDArray[np.bool_]:
    """Benjamini-Hochberg over `tried` hypotheses, of which those not listed have p-value one."""
    ordered = np.sort(p_values)
    passing = np.flatnonzero(ordered <= fdr * np.arange(1, len(ordered) + 1) / max(tried, 1.0))
    limit = ordered[passing[-1]] if len(passing) else -1.0
    return p_values <= limit


def _corroborated_holders(of: Holdings, left: Ints, right: Ints) -> Floats:
    """Holders of each value that also hold a value associated with it: (values,)."""
    size = len(of.values)
    both = (np.concatenate([left, right]), np.concatenate([right, left]))
    linked = sparse.coo_array((np.ones(2 * len(left)), both), shape=(size, size)).tocsr()
    ones = np.ones(len(of.held))
    incidence = sparse.coo_array((ones, (of.accounts, of.held)), shape=(of.account_count, size)).tocsr()
    supported = (incidence @ linked).multiply(incidence).tocsr()
    supported.data = np.minimum(supported.data, 1.0)
    return np.asarray(supported.sum(axis=0)).ravel()


def _bits(control: Floats, accounts: int) -> Floats:
    """log2 of posterior over prior odds of common control; the prior is one partner per account."""
    bounded = np.clip(control, 1e-6, 0.98)
    bits = np.log2(bounded / (1 - bounded)) + np.log2(max(accounts, 2))
    return np.round(np.maximum(bits, 0.0), 6)
