"""Clusters of accounts joined by shared traits: proposed by Leiden, then every member has to earn its place.

Why:    a campaign's accounts share different traits with different others; only the whole graph shows them together.
Misses: accounts whose only shared trait is one nobody else corroborates.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden); Traag, Van Dooren & Nesterov, Phys. Rev. E 84 (2011)
        016114 (CPM has no resolution limit). Membership as a log-likelihood ratio per independent group of evidence:
        Fellegi & Sunter (1969). Stability of partitions: variation of information, Meila, J. Multivar. Anal. 98 (2007).

    1. Graph: accounts and validated values; an edge weighs the value's bits, scaled to at most 1.
    2. Leiden (CPM) over a grid of resolutions; take the one whose partitions agree best with their neighbours'.
    3. Join clusters whose members hold the same values at the same rates: CPM splits very large campaigns.
    4. Each account is tested against each cluster it touches, leaving itself out; it is a member when the evidence of
       at least two independent groups, or of several templates that only this cluster holds, outweighs the prior.
       Values an account holds besides are no evidence against it: mixing in other traffic does not help.
"""

from dataclasses import dataclass
from itertools import pairwise

import graspologic_native
import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.weights import Weights

RESOLUTIONS = (0.004, 0.008, 0.016, 0.032, 0.064)  # CPM densities; from sparse campaigns to tight cliques
MIN_ACCOUNTS = 3  # fewer accounts cannot corroborate one another
MEMBER_BITS = 3.3  # posterior odds of 10 to 1 that an account belongs
GROUP_BITS = 2.0  # a group of evidence counts as one when it makes membership 4 times likelier
TELLING_BITS = 4.0  # a value less than 16 times commoner inside is shared with too many others to count
OWN_SHARE = 0.65  # a cluster must hold most of a value before the value speaks for it
MAX_GROUP_BITS = 20.0  # values of one group repeat one another; more of them must not drown the prior
ALONE_BITS = 12.0  # content this telling stands without a second group ...
MIN_ALONE = 3  # ... when at least this many templates or system prompts of the cluster are held
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
    """Propose, join and test clusters. Numbered by falling size, then by their first account."""
    labels = _proposed(of, weighed, seed)
    vouching = labels = _joined(of, weighed, labels, labels)
    bits, groups = np.zeros(of.account_count), np.zeros(of.account_count, dtype=np.int64)
    for _ in range(ROUNDS):
        before = labels
        labels, bits, groups = _members(of, weighed, vouching, labels)
        # Members that stand on templates alone are in, but do not vouch for others: strangers with a taste for the
        # same public prompts would vouch for one another.
        labels = _joined(of, weighed, np.where(groups >= 2, labels, -1), labels)
        vouching = np.where(groups >= 2, labels, -1)
        if np.array_equal(labels, before):
            break
    return Clusters(_numbered(labels), np.round(bits, 6), groups)


def _proposed(of: Holdings, weighed: Weights, seed: int) -> Ints:
    """Leiden's partition at the most stable resolution; -1 for accounts in no cluster of MIN_ACCOUNTS."""
    edges = weighed.valid[of.held]
    if not edges.any():
        return np.full(of.account_count, -1, dtype=np.int64)
    graph = _graph(of, weighed, edges)
    partitions = [_leiden(graph, resolution, seed)[: of.account_count] for resolution in RESOLUTIONS]
    linked = np.zeros(of.account_count, dtype=bool)
    linked[of.accounts[edges]] = True
    distance = [_information_distance(a[linked], b[linked]) for a, b in pairwise(partitions)]
    steadiest = int(
        np.argmin([distance[max(i - 1, 0)] + distance[min(i, len(distance) - 1)] for i in range(len(partitions))])
    )
    chosen = partitions[steadiest].copy()
    chosen[~linked] = -1
    return _numbered(chosen)


def _graph(of: Holdings, weighed: Weights, edges: NDArray[np.bool_]) -> sparse.csr_array:
    """Symmetric adjacency of accounts (first) and values; weights scaled so that the strongest value weighs 1."""
    size = of.account_count + len(of.values)
    weight = weighed.control[of.held[edges]]
    rows, columns = of.accounts[edges], of.held[edges] + of.account_count
    both = (np.concatenate([rows, columns]), np.concatenate([columns, rows]))
    return sparse.coo_array((np.concatenate([weight, weight]), both), shape=(size, size)).tocsr()


def _leiden(graph: sparse.csr_array, resolution: float, seed: int) -> Ints:
    _, found = graspologic_native.leiden_csr(
        graph.indptr.astype(np.int64),
        graph.indices.astype(np.int32),
        graph.data.astype(np.float64),
        graph.shape[0],
        resolution=resolution,
        use_modularity=False,
        iterations=3,
        seed=seed,
    )
    labels = np.full(graph.shape[0], -1, dtype=np.int64)
    labels[np.fromiter(found.keys(), np.int64, len(found))] = np.fromiter(found.values(), np.int64, len(found))
    return labels


def _information_distance(left: Ints, right: Ints) -> float:
    """Variation of information between two partitions [bits], divided by its maximum log2(n)."""
    n = len(left)
    if n < 2:
        return 0.0
    joint = np.unique(np.stack([left, right]), axis=1, return_counts=True)[1] / n
    shares = [np.unique(side, return_counts=True)[1] / n for side in (left, right)]
    entropy = [-float(np.sum(p * np.log2(p))) for p in (joint, *shares)]
    return (2 * entropy[0] - entropy[1] - entropy[2]) / float(np.log2(n))


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


def _members(of: Holdings, weighed: Weights, vouching: Ints, labels: Ints) -> tuple[Ints, Floats, Ints]:
    """Test every account against every cluster it touches; its best cluster, bits and independent groups."""
    count = int(labels.max(initial=-1)) + 1
    best = np.full(of.account_count, -1, dtype=np.int64)
    best_bits = np.zeros(of.account_count)
    best_groups = np.zeros(of.account_count, dtype=np.int64)
    if count == 0:
        return best, best_bits, best_groups
    sizes = np.bincount(labels[labels >= 0], minlength=count).astype(np.float64)
    account, value, cluster, bits = _ties(of, weighed, vouching, labels, count)
    pairs, row = np.unique(account * count + cluster, return_inverse=True)
    by_group, telling = _best_sums(of, pairs // count, row, value, bits)
    total = by_group.sum(axis=1)
    groups = (by_group >= GROUP_BITS).sum(axis=1)
    tried = pairs % count
    posterior = total + np.log2(sizes[tried] / of.account_count)
    content = GROUPS.index("content")
    alone = (by_group[:, content] >= ALONE_BITS) & (telling[:, content] >= MIN_ALONE)
    passed = (posterior >= MEMBER_BITS) & ((groups >= 2) | alone)
    ranked = np.lexsort((tried, -posterior, ~passed, pairs // count))
    _, top = np.unique((pairs // count)[ranked], return_index=True)
    chosen = ranked[top][passed[ranked[top]]]
    who = pairs[chosen] // count
    best[who], best_bits[who], best_groups[who] = tried[chosen], total[chosen], groups[chosen]
    return best, best_bits, best_groups


def _ties(of: Holdings, weighed: Weights, vouching: Ints, labels: Ints, count: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Every way a validated value ties an account to a cluster: account, value, cluster and bits.

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
    kept = weighed.valid[value] & (inside >= 1) & (bits >= TELLING_BITS) & (share >= OWN_SHARE)
    return account[kept], value[kept], cluster[kept], bits[kept]


def _best_sums(of: Holdings, owner: Ints, row: Ints, value: Ints, bits: Floats) -> tuple[Floats, Ints]:
    """Bits per row and group from its k best values, for the k that says most: (rows, groups) bits and k.

    Choosing the best k of the d values that an account holds in a group costs log2 of the number of such choices.
    """
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
    tries = of.degree[owner[slot // len(GROUPS)], slot % len(GROUPS)].astype(np.float64)
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
