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

    1. Values of three holders to MOST_HELD: two are a couple or an accident, thousands have a default in common. Where
       most holders of a card or device share something of another kind too, one address say, or name one organisation,
       that is one owner who shows himself, and no link.
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
from stillwatch.linkage.weights import PRIOR_HOLDERS, Weights, control_bits, mixing
from stillwatch.membership import MIN_ACCOUNTS, TIE_SHARE

MOST_HELD = 256  # holders of a value that links in a chain
LEAST_LINKS = 2  # values besides those of the commonest kind
SHUFFLES = 99  # dealt worlds, none of which may have a chain as good: one false chain in a hundred worlds


@dataclass(frozen=True, slots=True)
class _Edges:
    """Holdings that may link: account, value, and group of the value, (edges,) each; `pools` are what is dealt.

    Accounts and values are numbered among those that occur. `pools` has, by group, all that free accounts hold of it.
    """

    accounts: Ints
    values: Ints
    group: Ints
    pools: dict[int, Ints]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The connected part of each edge, (edges,), and what each part gains, (parts,)."""

    of_edge: Ints
    gains: Floats


def with_chains(of: Holdings, weighed: Weights, free: Flags, named: Ints, *, seed: int) -> Weights:
    """The weights, where values that hang together beyond chance among the free accounts count as well.

    `named` is the organisation that each account names, -1 for none: (accounts,).
    Whoever is in a chain is taken out and the rest tried again: a large campaign must not be the chance of a small one.
    """
    rng = np.random.default_rng(seed)
    while True:
        chance, edge = mixing(of, free), _linking(of, free, named)
        links = _Edges(of.accounts[edge], of.held[edge], of.group[of.held[edge]], _pools(of, free))
        found = _parts(links, links.accounts, chance)
        long = found.gains > _bar(links, found, chance, rng)
        if not long.any():
            return weighed
        chained = edge[long[found.of_edge]]
        weighed = _counting(of, weighed, of.accounts[chained], of.held[chained])
        free = free & ~np.isin(np.arange(of.account_count), of.accounts[chained])


def _bar(links: _Edges, found: _Parts, chance: Floats, rng: np.random.Generator) -> float:
    """What chains have to gain more than: the best of any dealt world; none are dealt once it is hopeless."""
    bar, best = 0.0, float(found.gains.max(initial=0.0))
    for _ in range(SHUFFLES):
        if bar >= best:
            break
        bar = max(bar, float(_parts(links, _dealt(links, rng), chance).gains.max(initial=0.0)))
    return bar


def _linking(of: Holdings, free: Flags, named: Ints) -> Ints:
    """The edges that may link; values of one owner who shows himself are left out."""
    edge = np.flatnonzero(free[of.accounts])
    holders = np.bincount(of.held[edge], minlength=len(of.values))
    edge = edge[((holders >= MIN_ACCOUNTS) & (holders <= MOST_HELD))[of.held[edge]]]
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
    return durable[~np.isin(of.held[durable], [*shown, *of_one])]


def _pools(of: Holdings, free: Flags) -> dict[int, Ints]:
    """By group, a free account for each value it holds: those are dealt from."""
    everybody = np.arange(of.account_count)
    return {group: np.repeat(everybody, np.where(free, of.degree[:, group], 0)) for group in DURABLE}


def _parts(links: _Edges, accounts: Ints, chance: Floats) -> _Parts:
    """The connected parts when these accounts hold the values, and what they gain; nothing where they are too short."""
    (_, account), (used, value) = np.unique(accounts, return_inverse=True), np.unique(links.values, return_inverse=True)
    first, groups = int(account.max(initial=-1)) + 1, len(GROUPS)
    size = first + len(used)
    graph = sparse.coo_array((np.ones(len(account), np.int8), (account, value + first)), (size, size))
    count, parts = csgraph.connected_components(graph, directed=False)
    of_edge, of_value = parts[account].astype(np.int64), np.empty(len(used), np.int64)
    of_value[value] = of_edge * groups + links.group
    kinds, held = (
        np.bincount(part, minlength=count * groups).reshape(count, groups)
        for part in (of_value, of_edge * groups + links.group)
    )
    by_chance = np.einsum("pg,gh,ph->p", held, np.triu(chance, k=1), held)
    both = np.bincount(account, minlength=first)
    seen = np.bincount(parts[:first], weights=both * (both - 1) / 2, minlength=count)
    gains = special.xlogy(seen, seen / np.maximum(by_chance, 1e-12)) - seen + by_chance
    long = (kinds.sum(axis=1) - kinds.max(axis=1, initial=0) >= LEAST_LINKS) & (seen > by_chance)
    return _Parts(of_edge, np.where(long, gains, 0.0))


def _dealt(links: _Edges, rng: np.random.Generator) -> Ints:
    """A free account for each edge, drawn group by group among all that free accounts hold of the group."""
    dealt = np.empty(len(links.values), np.int64)
    for group in np.unique(links.group).tolist():
        places = np.flatnonzero(links.group == group)
        dealt[places] = rng.choice(links.pools[group], len(places), replace=False)
    return dealt


def _counting(of: Holdings, weighed: Weights, accounts: Ints, values: Ints) -> Weights:
    """The weights with those of the values of chains, given by their edges."""
    leads_on = np.bincount(accounts, minlength=of.account_count) > 1
    linked = np.bincount(values[leads_on[accounts]], minlength=len(of.values))
    control = np.maximum(linked / (of.holder_counts + PRIOR_HOLDERS), weighed.control)
    bits = np.where(control > weighed.control, control_bits(control, of.account_count), weighed.bits)
    return Weights(control, bits, control > 0)
