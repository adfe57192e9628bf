"""Clusters of accounts joined by shared traits: proposed by Leiden, then every member has to earn its place.

Why:    a campaign's accounts share different traits with different others; only the whole graph shows them together.
Misses: accounts whose only shared trait is one nobody else corroborates.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden); Traag, Van Dooren & Nesterov, Phys. Rev. E 84 (2011)
        016114 (CPM has no resolution limit). Membership as a log-likelihood ratio per independent group of evidence:
        Fellegi & Sunter (1969).

    1. Graph: accounts and validated values; an edge weighs the value's share of holders under control.
    2. Leiden (CPM) over a grid of resolutions proposes clusters. Steps 3 and 4 settle each proposal; the resolution
       with most members that two independent groups corroborate is taken.
    3. Join clusters that split the same values between them, and split those that own nothing in common.
    4. Each account is tested against each cluster it touches, leaving itself out; it is a member when the evidence of
       at least two independent groups, or of something that is costly to share, outweighs the prior.
       Values an account holds besides are no evidence against it: mixing in other traffic does not help.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from stillwatch.linkage.communities import leiden
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.weights import Weights

# CPM resolutions tried, times the number of linked accounts: a campaign that is a fixed share of the accounts has an
# inner density that falls with their number, so its resolution must.
DENSITIES = (0.5, 1.0, 1.5, 2.0, 3.0)
MIN_ACCOUNTS = 3  # fewer accounts cannot corroborate one another
MEMBER_BITS = 3.3  # posterior odds of 10 to 1 that an account belongs
GROUP_BITS = 2.0  # a group of evidence counts as one when it makes membership 4 times likelier
TELLING_BITS = 4.0  # a value less than 16 times commoner inside is shared with too many others to count
# A cluster must hold this share of a value before the value speaks for it. Strict first, so that what grows is pure;
# then looser, for members whose templates others have seen too.
OWN_SHARES = (0.8, 0.65)
ALONE_SHARE = 0.5  # of all holders of a value that must vouch before it can stand without a second group
MAX_GROUP_BITS = 20.0  # values of one group repeat one another; more of them must not drown the prior
# What stands without a second group: templates, when at least this many of the cluster's own are held; and things that
# cost something to share. Addresses and clients never do.
ALONE_BITS = {"content": 8.0, "payment": 5.0, "device": 5.0, "contact": 5.0}
MIN_ALONE = {"content": 2, "payment": 1, "device": 1, "contact": 1}
SPLIT_RESOLUTION = 0.3  # modularity; below 1 it leaves large clusters whole
ALIKE = 0.3  # cosine of what two clusters own above which they are parts of one
ROUNDS = 20  # membership settles in about ten


@dataclass(frozen=True, slots=True)
class Clusters:
    """Cluster of each account, (accounts,) with -1 for none; bits and independent groups that tie it: (accounts,)."""

    of_account: Ints
    bits: Floats
    groups: Ints

    @property
    def count(self) -> int:
        """Number of clusters."""
        return int(self.of_account.max(initial=-1)) + 1


def clusters(of: Holdings, weighed: Weights, *, seed: int) -> Clusters:
    """Propose, join and test clusters at every resolution; the ones with most members that two groups corroborate.

    Numbered by falling size, then by their first account.
    """
    edges = weighed.valid[of.held]
    if not edges.any():
        nothing = np.zeros(of.account_count)
        return Clusters(np.full(of.account_count, -1, dtype=np.int64), nothing, nothing.astype(np.int64))
    graph = _graph(of, weighed, edges)
    linked = np.zeros(of.account_count, dtype=bool)
    linked[of.accounts[edges]] = True
    found = []
    for density in DENSITIES:
        proposed = leiden(graph, density / int(linked.sum()), seed)[: of.account_count]
        found.append(_settled(of, weighed, _numbered(np.where(linked, proposed, -1)), seed))
    return max(found, key=lambda settled: int((settled.groups[settled.of_account >= 0] >= 2).sum()))


def _settled(of: Holdings, weighed: Weights, proposed: Ints, seed: int) -> Clusters:
    """Join, test and split until membership no longer changes: first strictly, then with what the pure core owns."""
    labels = _joined(of, weighed, proposed, proposed)
    state = labels, labels, np.zeros(of.account_count), np.zeros(of.account_count, dtype=np.int64)
    for own_share in OWN_SHARES:
        for _ in range(ROUNDS):
            before = state[0]
            state = _round(of, weighed, state[0], state[1], own_share, seed)
            if np.array_equal(state[0], before):
                break
    labels, _, bits, groups = state
    return Clusters(_numbered(labels), np.round(bits, 6), groups)


def _round(
    of: Holdings, weighed: Weights, labels: Ints, vouching: Ints, own_share: float, seed: int
) -> tuple[Ints, Ints, Floats, Ints]:
    """One round: labels, vouching labels, bits, groups.

    Members that stand on one group alone are in, but do not vouch for others: strangers with a taste for the same
    public prompts would vouch for one another.
    """
    labels, bits, groups = _members(of, weighed, vouching, labels, own_share=own_share)
    labels = _split(of, weighed, labels, own_share, seed)
    labels = _joined(of, weighed, np.where(groups >= 2, labels, -1), labels)
    return labels, np.where(groups >= 2, labels, -1), bits, groups


def _split(of: Holdings, weighed: Weights, labels: Ints, own_share: float, seed: int) -> Ints:
    """Split each cluster into the parts that values it owns hold together; -1 for accounts that none holds.

    Parts that really are one are joined again by what they own together; strangers that met over
    a few values stay apart.
    """
    count = int(labels.max(initial=-1)) + 1
    if not count:
        return labels
    account, value, cluster, _, _ = _ties(of, weighed, labels, labels, count, own_share=own_share)
    own = labels[account] == cluster
    account, value = account[own], value[own]
    if not len(account):
        return np.full(len(labels), -1, dtype=np.int64)
    size = of.account_count + len(of.values)
    both = (np.concatenate([account, value + of.account_count]), np.concatenate([value + of.account_count, account]))
    weight = np.concatenate([weighed.control[value], weighed.control[value]])
    graph = sparse.coo_array((weight, both), shape=(size, size)).tocsr()
    part = leiden(graph, SPLIT_RESOLUTION, seed, use_modularity=True)[: of.account_count]
    tied = np.zeros(of.account_count, dtype=bool)
    tied[account] = True
    return _numbered(np.where(tied & (labels >= 0), part, -1))


def _graph(of: Holdings, weighed: Weights, edges: NDArray[np.bool_]) -> sparse.csr_array:
    """Symmetric adjacency of accounts (first) and values; weights scaled so that the strongest value weighs 1."""
    size = of.account_count + len(of.values)
    weight = weighed.control[of.held[edges]]
    rows, columns = of.accounts[edges], of.held[edges] + of.account_count
    both = (np.concatenate([rows, columns]), np.concatenate([columns, rows]))
    return sparse.coo_array((np.concatenate([weight, weight]), both), shape=(size, size)).tocsr()


def _numbered(labels: Ints) -> Ints:
    """Labels renumbered by falling size, then first account; clusters under MIN_ACCOUNTS become -1."""
    known = labels >= 0
    names, first, inverse, sizes = np.unique(labels[known], return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.full(len(names), -1, dtype=np.int64)
    large = order[sizes[order] >= MIN_ACCOUNTS]
    rank[large] = np.arange(len(large))
    numbered = np.full(len(labels), -1, dtype=np.int64)
    numbered[known] = rank[inverse]
    return numbered


def holding_counts(of: Holdings, labels: Ints, count: int) -> sparse.csr_array:
    """Members of each of `count` clusters that hold each value: (clusters, values)."""
    member = labels[of.accounts] >= 0
    ones = np.ones(int(member.sum()))
    shape = (count, len(of.values))
    return sparse.coo_array((ones, (labels[of.accounts[member]], of.held[member])), shape=shape).tocsr()


def _joined(of: Holdings, weighed: Weights, vouching: Ints, labels: Ints) -> Ints:
    """Join clusters that split the same values between them, until no two do; `labels` with the joins applied."""
    while True:
        count = int(labels.max(initial=-1)) + 1
        if count < 2:
            return labels
        target = _alike(_ownership(of, weighed, vouching, count))
        if np.array_equal(target, np.arange(count)):
            return labels
        labels = np.where(labels >= 0, target[labels], -1)
        vouching = np.where(vouching >= 0, target[vouching], -1)


def _ownership(of: Holdings, weighed: Weights, labels: Ints, count: int) -> sparse.csr_array:
    """How much of each validated value each cluster owns, (clusters, values); its rows' squares add up to Q.

    A value counts by its holders and its control share, less the more of its holders are in no cluster.
    """
    held_by = holding_counts(of, labels, count)
    holders = np.maximum(of.holder_counts, 1)
    clustered = np.asarray(held_by.sum(axis=0)).ravel() / holders
    worth = np.sqrt(np.where(weighed.valid, weighed.control, 0.0) / holders) * clustered
    owned = (held_by @ sparse.diags_array(worth)).tocsr()
    owned.eliminate_zeros()
    return owned


def _alike(owned: sparse.csr_array) -> Ints:
    """For each cluster the larger one it is most alike, or itself.

    Alike is how much joining adds to what both own, over what the lesser owns by itself: values split between two
    parts of one campaign add much, values that two campaigns happen to share add little.
    """
    products = (owned @ owned.T).tocoo()
    own = (owned @ owned.T).diagonal()
    gain = products.data / np.maximum(np.sqrt(own[products.row] * own[products.col]), 1e-12)
    better = (products.col < products.row) & (gain >= ALIKE)
    target = np.arange(owned.shape[0])
    order = np.lexsort((-products.col[better], gain[better]))  # the most alike wins, then the larger
    target[products.row[better][order]] = products.col[better][order]
    while not np.array_equal(target, target[target]):
        target = target[target]
    return target


def _members(
    of: Holdings, weighed: Weights, vouching: Ints, labels: Ints, *, own_share: float
) -> tuple[Ints, Floats, Ints]:
    """Test every account against every cluster it touches; its best cluster, bits and independent groups."""
    count = int(labels.max(initial=-1)) + 1
    best = np.full(of.account_count, -1, dtype=np.int64)
    best_bits = np.zeros(of.account_count)
    best_groups = np.zeros(of.account_count, dtype=np.int64)
    if count == 0:
        return best, best_bits, best_groups
    sizes = np.bincount(labels[labels >= 0], minlength=count).astype(np.float64)
    account, value, cluster, bits, vouched = _ties(of, weighed, vouching, labels, count, own_share=own_share)
    pairs, row = np.unique(account * count + cluster, return_inverse=True)
    by_group, _ = _best_sums(of, weighed, pairs // count, row, value, bits)
    total = by_group.sum(axis=1)
    groups = (by_group >= GROUP_BITS).sum(axis=1)
    tried = pairs % count
    posterior = total + np.log2(sizes[tried] / of.account_count)
    sure = vouched >= ALONE_SHARE
    by_itself, telling = _best_sums(of, weighed, pairs // count, row[sure], value[sure], bits[sure])
    alone = np.zeros(len(pairs), dtype=bool)
    for group, least in ALONE_BITS.items():
        column = GROUPS.index(group)
        alone |= (by_itself[:, column] >= least) & (telling[:, column] >= MIN_ALONE[group])
    passed = (posterior >= MEMBER_BITS) & ((groups >= 2) | alone)
    ranked = np.lexsort((tried, -posterior, ~passed, pairs // count))
    _, top = np.unique((pairs // count)[ranked], return_index=True)
    chosen = ranked[top][passed[ranked[top]]]
    who = pairs[chosen] // count
    best[who], best_bits[who], best_groups[who] = tried[chosen], total[chosen], groups[chosen]
    return best, best_bits, best_groups


def _ties(
    of: Holdings, weighed: Weights, vouching: Ints, labels: Ints, count: int, *, own_share: float
) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Every way a validated value ties an account to a cluster: account, value, cluster, bits, share that vouches.

    The account itself is left out, and members that do not vouch count neither inside nor outside.
    """
    vouched = holding_counts(of, vouching, count).tocsc()
    members = holding_counts(of, labels, count)
    repeats = np.diff(vouched.indptr)[of.held]
    edge = np.repeat(np.arange(len(of.held)), repeats)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    position = vouched.indptr[of.held[edge]] + within
    cluster, inside = vouched.indices[position].astype(np.int64), vouched.data[position]
    account, value = of.accounts[edge], of.held[edge]
    inside = inside - (vouching[account] == cluster)
    sizes = np.bincount(vouching[vouching >= 0], minlength=count)[cluster] - (vouching[account] == cluster)
    belonging = np.asarray(members[cluster, value]).ravel()
    outside = of.holder_counts[value] - belonging - (labels[account] != cluster)
    bits = _ratio_bits(inside, sizes.astype(np.float64), outside.astype(np.float64), of.account_count)
    share = inside / np.maximum(inside + outside, 1.0)
    kept = weighed.valid[value] & (inside >= 1) & (bits >= TELLING_BITS) & (share >= own_share)
    vouched_share = inside / np.maximum(of.holder_counts[value] - 1, 1)
    return account[kept], value[kept], cluster[kept], bits[kept], vouched_share[kept]


def _best_sums(
    of: Holdings, weighed: Weights, owner: Ints, row: Ints, value: Ints, bits: Floats
) -> tuple[Floats, Ints]:
    """Bits per row and group from its k best values, for the k that says most: (rows, groups) bits and k.

    Choosing the best k of the d validated values that an account holds in a group costs log2 of how many such choices
    there are.
    """
    held = np.zeros((of.account_count, len(GROUPS)), dtype=np.int64)
    counted = weighed.valid[of.held]
    np.add.at(held, (of.accounts[counted], of.group[of.held[counted]]), 1)
    group = of.group[value]
    slot = row * len(GROUPS) + group
    order = np.lexsort((value, -bits, slot))
    slot, ordered = slot[order], bits[order]
    first = np.flatnonzero(np.concatenate([[True], slot[1:] != slot[:-1]])) if len(slot) else np.zeros(0, np.int64)
    length = np.diff(np.concatenate([first, [len(slot)]]))
    start = np.repeat(first, length)
    running = np.cumsum(ordered)
    chosen = np.arange(len(slot)) - start + 1.0
    summed = running - (running[start] - ordered[start])
    tries = held[owner[slot // len(GROUPS)], slot % len(GROUPS)].astype(np.float64)
    choices = special.gammaln(tries + 1) - special.gammaln(chosen + 1) - special.gammaln(tries - chosen + 1)
    net = np.minimum(summed - choices / np.log(2), MAX_GROUP_BITS)
    best = np.zeros(len(owner) * len(GROUPS))
    np.maximum.at(best, slot, net)
    count = np.zeros(len(owner) * len(GROUPS), dtype=np.int64)
    at_best = net >= best[slot]
    np.maximum.at(count, slot[at_best], chosen[at_best].astype(np.int64))
    shape = (len(owner), len(GROUPS))
    return best.reshape(shape), count.reshape(shape)


def _ratio_bits(inside: Floats, members: Floats, outside: Floats, accounts: int) -> Floats:
    """log2 of how much commoner a value is among a cluster's members than elsewhere; half an account is added."""
    among = (inside + 0.5) / (members + 1.0)
    elsewhere = (outside + 0.5) / (accounts - members + 1.0)
    return np.maximum(np.log2(among / elsewhere), 0.0)
