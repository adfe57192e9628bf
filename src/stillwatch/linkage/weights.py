"""What sharing a trait is worth, in bits, learned value by value; and which values pass as more than chance.

Why:    a carrier's address, a popular public prompt or a default client is shared by strangers; a card shared by
        accounts that also share templates is not. Whether the holders of a value also share *independent* groups of
        traits tells the two apart without any allow-list.
Misses: a trait that common control never accompanies with any other (one perfectly clean group of evidence).
Source: validated projection of a bipartite graph: Saracco et al., New J. Phys. 19 (2017) 053022, with the sparse
        degree-preserving expectation of Chung & Lu, PNAS 99 (2002) 15879-15882. False-discovery rate: Benjamini &
        Hochberg, JRSS B 57 (1995) 289-300, within each kind (Sun et al., Genet. Epidemiol. 30 (2006) 519-530).
        Weights as log-likelihood ratios: Fellegi & Sunter, JASA 64 (1969) 1183-1210.

    1. Overlap: accounts that hold both of two values of independent groups. Only pairs of values that do meet are
       counted, so the cost follows the accounts, never the pairs of accounts.
    2. Surplus of a value in another group: holders that share a value of that group with another holder, summed over
       the group's values, one per value left out (m holders in common count m - 1).
    3. Chance: the pairs of holders expected to share a value when accounts keep how many values they hold and values
       how many holders they have. Which accounts the holders are is chance too: some hold a hundred times as much as
       others, and two of those meet in many values at once. So what is expected itself varies, and the surplus is
       negative binomial.
    4. A value is valid when its surplus in some independent group, or its overlap with a single value there, is too
       large for chance at the run's false-discovery rate. The surplus sees many thin overlaps, the single overlap a
       few thick ones.
    5. What a partner sent is worth what its sender's earlier leads were worth. It and a wording are one fact and say
       nothing about one another.
    6. The share of holders that take part in such overlaps, times the part of the surplus that is beyond chance,
       estimates the share under common control. Weight = log2 of posterior over prior odds of common control.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stillwatch.linkage.holdings import CONTENT, GROUPS, PARTNER, Floats, Holdings, Ints
from stillwatch.linkage.incidence import incidence
from stillwatch.linkage.meetings import covered, met

COMMON_SHARE = 0.25  # a value held by more accounts than this corroborates nothing
MIN_OVERLAP = 2  # accounts that must hold both values
MAX_HELD = 256  # rarest values of an account that are paired: bounds the cost of one account at 32,000 pairs
TELLING_OVERLAP = 0.5  # overlaps expected to be larger than this by chance say nothing and are left out
SINGLE_P_VALUE = 0.01  # of one overlap, corrected for the values of its group
LEAST_VARIANCE = 1e-6  # relative, of the expected surplus: below it a negative binomial is Poisson
ONE_FACT = (CONTENT, PARTNER)  # groups that speak of the same prompts
PRIOR_HOLDERS = 2.0  # strength of the assumption that a value means nothing [holders]


@dataclass(frozen=True, slots=True)
class Weights:
    """What each value is worth, (values,) each.

    `control` is the share of holders that an independent group corroborates beyond chance, `bits` the weight, `valid`
    whether the surplus behind it passed the run's false-discovery rate.
    """

    control: Floats
    bits: Floats
    valid: NDArray[np.bool_]


NO_PRECISION: Mapping[str, float] = {}


def weights(of: Holdings, *, fdr: float = 0.01, precision: Mapping[str, float] = NO_PRECISION) -> Weights:
    """Learn what every value is worth; `precision` of each lead: the share of its sender's leads that proved right."""
    size = len(of.values)
    if not size:
        return Weights(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))
    rare = of.holder_counts <= max(COMMON_SHARE * of.account_count, MIN_OVERLAP)
    value, other, shared = overlaps(of, rare, MIN_OVERLAP)
    by_chance = of.holder_counts[value] * of.holder_counts[other] * mixing(of)[of.group[value], of.group[other]]
    telling = by_chance <= TELLING_OVERLAP
    many = _surplus(of, value[telling], other[telling], shared[telling])
    fewer = np.minimum(of.holder_counts[value], of.holder_counts[other])
    single = overlap_p_values(shared, fewer, by_chance)
    tried = np.bincount(of.group[rare], minlength=len(GROUPS)).astype(np.float64)
    best, strong = np.ones((size, len(GROUPS))), []
    for mine, theirs in ((value, other), (other, value)):
        corrected = np.minimum(single * tried[of.group[theirs]], 1.0)
        np.minimum.at(best.reshape(-1), mine * len(GROUPS) + of.group[theirs], corrected)
        strong.append(np.stack([mine, theirs])[:, corrected <= SINGLE_P_VALUE])
    held = np.unique(of.group[of.group != PARTNER])
    tests = 2 * max(len(held) - 1, 1)  # two tests in each independent group that is held at all
    significant = _discoveries(of, np.minimum(np.minimum(many.p_values, best) * tests, 1.0), fdr)
    weak_share = many.beyond * _covered(of, *_both_ways(value[telling], other[telling]))
    strong_share = _covered(of, *np.concatenate(strong, axis=1)) * (best <= SINGLE_P_VALUE)
    beyond = np.where(significant, np.maximum(weak_share, strong_share), 0.0)
    control = 1.0 - np.prod(1.0 - np.clip(beyond, 0.0, 1.0), axis=1)
    for lead in np.flatnonzero(of.group == PARTNER):
        control[lead] = precision.get(of.values[lead], 0.0)
    control *= of.holder_counts / (of.holder_counts + PRIOR_HOLDERS)
    valid = control > 0
    return Weights(control, np.where(valid, control_bits(control, of.account_count), 0.0), valid)


def overlap_p_values(shared: Ints, fewer: Ints, expected: Floats) -> Floats:
    """Chance of at least `shared` common holders, of the `fewer` holders of the rarer value, when `expected` are."""
    return np.asarray(stats.binom.sf(shared - 1, fewer, np.clip(expected / fewer, 0.0, 1.0)))


def _both_ways(value: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Pairs, and then the same the other way round."""
    return np.concatenate([value, other]), np.concatenate([other, value])


def independent(group: Ints | int, other: Ints | int) -> NDArray[np.bool_]:
    """Whether values of two groups may speak for one another: (pairs,)."""
    mine, theirs = np.asarray(group), np.asarray(other)
    return (mine != theirs) & ~(np.isin(mine, ONE_FACT) & np.isin(theirs, ONE_FACT))


@dataclass(frozen=True, slots=True)
class _Surplus:
    """Surplus of each value in each group: its p-value and the part of it beyond chance, (values, groups) each."""

    p_values: Floats
    beyond: Floats


def _surplus(of: Holdings, value: Ints, other: Ints, shared: Ints) -> _Surplus:
    """Of pairs of values, each once, and how many accounts hold both."""
    ways = ((value, other), (other, value))
    places, size = (mine * len(GROUPS) + of.group[theirs] for mine, theirs in ways), len(of.values) * len(GROUPS)
    counted = sum(np.bincount(place, weights=shared - 1.0, minlength=size) for place in places)
    surplus = np.reshape(counted, (len(of.values), len(GROUPS)))
    expected = _expected_surplus(of)
    varies = pair_variance(_spread(of)[of.group], of.holder_counts[:, None])
    shape = 1.0 / np.maximum(varies, LEAST_VARIANCE)
    p_values = np.where(surplus > 0, stats.nbinom.sf(surplus - 1, shape, shape / (shape + expected)), 1.0)
    return _Surplus(p_values, np.maximum(surplus - expected, 0.0) / np.maximum(surplus, 1.0))


def pair_variance(spread: Floats, holders: Ints) -> Floats:
    """Relative variance of the products of what two holders hold, summed over all pairs of so many holders.

    `spread` is the relative variance of what one holder holds.
    """
    return np.asarray(4 * spread / holders + 2 * spread**2 / (holders * (holders - 1)))


def _spread(of: Holdings) -> Floats:
    """Relative variance of what a holder of a value of one group holds of another: (groups, groups)."""
    held = of.degree.astype(np.float64)
    totals = np.maximum(held.sum(axis=0), 1.0)[:, None]
    mean, square = (held.T @ held) / totals, (held.T @ held**2) / totals
    return np.asarray(np.maximum(square / np.maximum(mean, 1e-12) ** 2 - 1.0, 0.0))


def _expected_surplus(of: Holdings) -> Floats:
    """Pairs of holders that meet in each group by chance, over telling overlaps: (values, groups); none in its own.

    It is at least the surplus, and hardly more where overlaps are thin. Nobody meets himself: of n * n pairs n are
    none, on either side. Values with as many holders are alike, so the sum runs over sizes, not values.
    """
    chance = mixing(of)
    holders = of.holder_counts
    expected = np.zeros((len(of.values), len(GROUPS)))
    for group in range(len(GROUPS)):
        sizes, how_many = np.unique(holders[of.group == group], return_counts=True)
        for own in np.unique(of.group):
            mine = of.group == own
            if not independent(int(own), group) or not len(sizes):
                continue
            own_sizes, inverse = np.unique(holders[mine], return_inverse=True)
            overlap = np.outer(own_sizes, sizes) * chance[own, group]
            others = np.outer(1.0 - 1.0 / own_sizes, 1.0 - 1.0 / sizes)
            each = np.where(overlap <= TELLING_OVERLAP, others * overlap**2 / 2, 0.0)
            expected[mine, group] = (each @ how_many)[inverse]
    return np.maximum(expected, 1e-9)


def _covered(of: Holdings, value: Ints, other: Ints) -> Floats:
    """Share of each value's holders that share a value of each group with another of its holders: (values, groups)."""
    return np.asarray(
        covered(of.edges, value, other, of.group, len(GROUPS)) / np.maximum(of.holder_counts, 1)[:, np.newaxis]
    )


def _discoveries(of: Holdings, p_values: Floats, fdr: float) -> NDArray[np.bool_]:
    """Benjamini-Hochberg within each kind: one with many thin values must not drown one with few.

    Where nobody holds a lead, none was tested against.
    """
    tested = np.flatnonzero((np.arange(len(GROUPS)) != PARTNER) | (of.group == PARTNER).any())
    found = np.zeros(p_values.shape, dtype=bool)
    for kind in np.unique(of.kind):
        cells = np.ix_(of.kind == kind, tested)
        found[cells] = accepted(p_values[cells], fdr)
    return found


def accepted(p_values: Floats, fdr: float) -> NDArray[np.bool_]:
    """The p-values that Benjamini and Hochberg's procedure accepts; any shape."""
    ordered = np.sort(p_values.ravel())
    passing = np.flatnonzero(ordered <= fdr * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    return np.asarray(p_values <= (ordered[passing[-1]] if len(passing) else -1.0))


def overlaps(of: Holdings, wanted: NDArray[np.bool_], least: int) -> tuple[Ints, Ints, Ints]:
    """Pairs of wanted values of independent groups that at least `least` accounts hold, each once; how many do."""
    keep = wanted[of.held] & _among_rarest(of)
    kept = incidence(of.accounts[keep], of.held[keep], of.account_count, len(of.values))
    every = np.arange(len(GROUPS))
    return met(kept, of.group, independent(every[:, np.newaxis], every), least)


def _among_rarest(of: Holdings) -> NDArray[np.bool_]:
    """Whether an edge leads to one of its account's MAX_HELD rarest values: (edges,)."""
    is_rare = np.ones(len(of.held), dtype=bool)
    crowded = np.flatnonzero((np.diff(of.edges.start) > MAX_HELD)[of.accounts])
    order = crowded[np.lexsort((of.held[crowded], of.holder_counts[of.held[crowded]], of.accounts[crowded]))]
    first = np.searchsorted(of.accounts[order], of.accounts[order])
    is_rare[order] = np.arange(len(order)) - first < MAX_HELD
    return is_rare


def mixing(of: Holdings, among: NDArray[np.bool_] | None = None) -> Floats:
    """Expected overlap of two values per product of their holders, by pair of groups: (groups, groups).

    Were all accounts alike it would be one over the accounts; accounts that hold much in both groups raise it. `among`
    (accounts,) are those who count, everybody when it is left out.
    """
    held = (of.degree if among is None else of.degree[among]).astype(np.float64)
    totals = held.sum(axis=0)
    return np.asarray((held.T @ held) / np.maximum(np.outer(totals, totals), 1.0))


def control_bits(control: Floats, accounts: int) -> Floats:
    """log2 of posterior over prior odds of common control; the prior is one partner per account."""
    bounded = np.clip(control, 1e-6, 0.98)
    bits = np.log2(bounded / (1 - bounded)) + np.log2(max(accounts, 2))
    return np.round(np.maximum(bits, 0.0), 6)
