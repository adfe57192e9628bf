"""Chains: cards, devices and telephones of a few accounts each that hang together far beyond chance.

Why:    where no prompts are logged, and the more accounts there are, each card or device of a campaign is shared by a
        handful, and hardly any two of them by the same handful. No value and no pair of values says more than chance.
        But who has no card of his own has no device of his own either: the card of one handful leads by a device to
        the card of another, and on, as what strangers share does not.
Misses: one kind alone, however much it is shared; campaigns with fewer than LEAST_LINKS values of a second kind; and
        everything where so many strangers share devices and cards that chance makes chains as good.
Source: components of random intersection graphs grow without bound above a threshold that campaigns pass and strangers
        do not: Newman, Strogatz & Watts, Phys. Rev. E 64 (2001) 026118; Behrisch, Electron. J. Comb. 14 (2007) R17. The
        gain is the Poisson log-likelihood ratio of Kulldorff's scan statistic, Commun. Stat. Theory Methods 26 (1997)
        1481-1496; the bar is the best of each dealt world, and what passes is taken out before the rest is tried again:
        Westfall & Young, "Resampling-Based Multiple Testing", Wiley, 1993.

    1. Values of few holders: a default is held by thousands. Where most holders of a card or device share something of
       another kind too, one address say, or name one organisation, that is one owner who shows himself, and no link.
    2. Values that an account holds together are joined. The length of a chain is how many values it has besides those
       of its commonest kind: a card that leads to fifty families' devices is one link and not fifty.
    3. Its gain: how many accounts hold two of its values, against what chance lets values of so many holders share.
    4. Null: everybody keeps how many values of each kind he holds, every value how many holders it has, and who holds
       which is dealt anew. A chain is beyond chance if it gains more than the best of each of SHUFFLES dealt worlds.
    5. A value of such a chain counts for the share of its holders who lead on to another value of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse, special
from scipy.sparse import csgraph

from stillwatch.linkage.cells import DURABLE, Flags
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.weights import PRIOR_HOLDERS, Weights, control_bits
from stillwatch.membership import TIE_SHARE

MOST_HELD = 256  # holders of a value that links in a chain
LEAST_LINKS = 2  # values besides those of the commonest kind
SHUFFLES = 99  # dealt worlds, none of which may have a chain as good: one false chain in a hundred worlds


@dataclass(frozen=True, slots=True)
class _Chains:
    """Edges that may link, account and value, and the part that each is in: (edges,) each; the gain of each part."""

    accounts: Ints
    values: Ints
    part: Ints
    gains: Floats


def with_chains(of: Holdings, weighed: Weights, free: Flags, named: Ints, *, seed: int) -> Weights:
    """The weights, where values that hang together beyond chance among the free accounts count as well.

    `named` is the organisation that each account names, -1 for none: (accounts,).
    Whoever is in a chain is taken out and the rest tried again: a large campaign must not be the chance of a small one.
    """
    rng = np.random.default_rng(seed)
    while True:
        chance = _chance(of, free)
        found = _chained(of, *_linking(of, free, named), chance)
        long = found.gains > _bar(of, free, found, chance, rng)
        if not long.any():
            return weighed
        chained = long[found.part]
        weighed = _counting(of, weighed, found.accounts[chained], found.values[chained])
        free = free & ~np.isin(np.arange(of.account_count), found.accounts[chained])


def _bar(of: Holdings, free: Flags, found: _Chains, chance: Floats, rng: np.random.Generator) -> float:
    """What chains have to gain more than: the best of any dealt world; none are dealt once it is hopeless."""
    bar, best = 0.0, float(found.gains.max(initial=0.0))
    for _ in range(SHUFFLES):
        if bar >= best:
            break
        dealt = _chained(of, _dealt(of, free, found.values, rng), found.values, chance)
        bar = max(bar, float(dealt.gains.max(initial=0.0)))
    return bar


def _linking(of: Holdings, free: Flags, named: Ints) -> tuple[Ints, Ints]:
    """Account and value of the edges that may link; values of one owner who shows himself are left out."""
    edge = np.flatnonzero(free[of.accounts])
    holders = np.bincount(of.held[edge], minlength=len(of.values))
    edge = edge[((holders >= 2) & (holders <= MOST_HELD))[of.held[edge]]]
    shape = (of.account_count, len(of.values))
    durable = edge[np.isin(of.group[of.held[edge]], DURABLE)]
    every, few = (
        sparse.coo_array((np.ones(len(some)), (of.accounts[some], of.held[some])), shape).tocsr()
        for some in (edge, durable)
    )
    both = (few.T @ every).tocoo()
    mine, other = both.row, both.col
    larger = (holders[other] > holders[mine]) | ((holders[other] == holders[mine]) & (other < mine))
    apart = of.group[mine] != of.group[other]
    shown = mine[larger & apart & (both.data > TIE_SHARE * holders[mine])]
    names = durable[named[of.accounts[durable]] >= 0]
    naming, alike = np.unique(np.stack([of.held[names], named[of.accounts[names]]]), axis=1, return_counts=True)
    of_one = naming[0, alike > TIE_SHARE * holders[naming[0]]]
    links = durable[~np.isin(of.held[durable], [*shown, *of_one])]
    return of.accounts[links], of.held[links]


def _chance(of: Holdings, free: Flags) -> Floats:
    """Accounts expected to hold both of two values per product of their holders, by groups: (groups, groups)."""
    held = np.where(free[:, np.newaxis], of.degree, 0).astype(np.float64)
    totals = held.sum(axis=0)
    return np.asarray((held.T @ held) / np.maximum(np.outer(totals, totals), 1.0))


def _chained(of: Holdings, accounts: Ints, values: Ints, chance: Floats) -> _Chains:
    """The connected parts of these edges and what they gain; nothing where they are too short."""
    size, groups = of.account_count + len(of.values), len(GROUPS)
    graph = sparse.coo_array((np.ones(len(accounts)), (accounts, values + of.account_count)), (size, size))
    count, parts = csgraph.connected_components(graph, directed=False)
    used, part = np.unique(values), parts[accounts].astype(np.int64)
    kinds, held = (
        np.bincount(parts[ends] * groups + of.group[of_value], minlength=count * groups).reshape(count, groups)
        for ends, of_value in ((used + of.account_count, used), (accounts, values))
    )
    by_chance = np.einsum("pg,gh,ph->p", held, np.triu(chance, k=1), held)
    links = np.bincount(accounts, minlength=of.account_count)
    seen = np.bincount(parts[: of.account_count], weights=links * (links - 1) / 2, minlength=count)
    gains = special.xlogy(seen, seen / np.maximum(by_chance, 1e-12)) - seen + by_chance
    long = (kinds.sum(axis=1) - kinds.max(axis=1) >= LEAST_LINKS) & (seen > by_chance)
    return _Chains(accounts, values, part, np.where(long, gains, 0.0))


def _dealt(of: Holdings, free: Flags, values: Ints, rng: np.random.Generator) -> Ints:
    """A free account for each holding, drawn group by group among all that free accounts hold of the group."""
    dealt = np.empty(len(values), np.int64)
    for group in np.unique(of.group[values]):
        places = np.flatnonzero(of.group[values] == group)
        held = np.repeat(np.arange(of.account_count), np.where(free, of.degree[:, group], 0))
        dealt[places] = rng.choice(held, len(places), replace=False)
    return dealt


def _counting(of: Holdings, weighed: Weights, accounts: Ints, values: Ints) -> Weights:
    """The weights with those of the values of chains, given by their edges."""
    leads_on = np.bincount(accounts, minlength=of.account_count) > 1
    linked = np.bincount(values[leads_on[accounts]], minlength=len(of.values))
    control = np.maximum(linked / (of.holder_counts + PRIOR_HOLDERS), weighed.control)
    bits = np.where(control > weighed.control, control_bits(control, of.account_count), weighed.bits)
    return Weights(control, bits, control > 0)
