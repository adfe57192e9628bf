"""Clusters of accounts under one control: cells that share templates, merged by what else they share.

Why:    a campaign deals its templates out, so its accounts fall into cells that have no prompt in common; cards,
        devices and addresses run across the cells. Chance can explain a shared template or a shared address, not
        that two cells meet again and again in kinds that have nothing to do with one another.
Misses: campaigns whose accounts share templates and nothing else, or whose every account has a template of its own and
        shares too few cards or devices.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden); Chung & Lu, PNAS 99 (2002) 15879-15882 (chance of
        sharing, degrees kept); Fisher's combination restricted to groups that speak for themselves. Membership bits
        as log-likelihood ratios: Fellegi & Sunter, JASA 64 (1969) 1183-1210.

    1. Cells: communities of accounts and their templates. Accounts that end up in no cluster get a second sweep, with
       cells by cards and devices.
    2. Cells merge when at least two independent groups, beside the templates, link them far beyond chance.
    3. A cluster owns a template when nearly all of its holders are members that belong for another reason as well.
       Members hold something their cluster owns, or are tied to it by two groups of which one costs something to
       share, as cards and devices do.
    4. What a cluster owns cuts it into new cells, and these merge again: whoever came along with a loose phrase but
       has no other tie to the rest leaves.

Values an account holds besides are no evidence against it: mixing in other traffic does not help.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.sparse import csgraph

from stillwatch.linkage.communities import leiden
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MAX_GROUP_BITS, MIN_ACCOUNTS, MIN_GROUPS, TIE_SHARE, WORDINGS, times_commoner

Flags = NDArray[np.bool_]

CONTENT = GROUPS.index("content")
DURABLE = [GROUPS.index(name) for name in ("payment", "device", "contact")]
RESOLUTION = 0.3  # modularity below which a part is cut no further; lower takes teams along, higher splits campaigns
PUBLIC_SHARE = 0.25  # a template held by more of all accounts than this belongs to nobody
LEAST_CONTROL = 0.1  # what a wording counts in cells when nothing independent speaks for it yet
TELLING_CONTROL = 0.1  # share of holders under common control below which a value links no cells
GROUP_P_VALUE = 0.05  # of the links between two cells in one group, to count at all
MERGE_P_VALUE = 1e-4  # of all groups that count together
LEAST_P_VALUE = 1e-6  # what one group can contribute: two have to speak
# addresses, sign-up hours, and wordings that others use as well
CHEAP = [GROUPS.index(name) for name in ("network", "registration", "content")]
MIN_POINTS = MIN_GROUPS + 1  # of the groups that tie an account: a cheap group counts one, any other two
POINTS = np.where(np.isin(np.arange(len(GROUPS)), CHEAP), 1, 2)  # (groups,)
OWN_SHARE = 0.9  # of the holders of a template that must belong to a cluster for it to be the cluster's own
SMALLEST = 5  # accounts of a cluster: the coordination test can prove nothing about fewer
ROUNDS = 2  # of cutting and merging: the second changes little, a third nothing
PASSES = 6  # of settling; two or three are usual


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


def clusters(of: Holdings, weighed: Weights, *, seed: int, outsiders: Collection[str] = ()) -> Clusters:
    """Cells, merged and settled; numbered by falling size, then by their first account.

    `outsiders` can be no members, and count as strangers in everything they hold.
    """
    eligible = ~np.isin(np.array(of.account_ids, dtype=object), list(outsiders))
    labels = _swept(of, weighed, _wording_cells(of, weighed, eligible, seed), eligible)
    rest = eligible & (labels < 0)
    others = _swept(of, weighed, _durable_cells(of, weighed, rest), rest)
    labels = _numbered(np.where(others >= 0, others + labels.max(initial=-1) + 1, labels), least=SMALLEST)
    bits, groups = _membership(of, weighed, labels)
    return Clusters(labels, bits, groups)


def _swept(of: Holdings, weighed: Weights, cells: Ints, eligible: Flags) -> Ints:
    """Clusters grown from cells: merged, settled, cut and merged again; steps 2 to 4 of the module summary."""
    labels = cells
    for round_ in range(ROUNDS):
        labels, own = _settled(of, weighed, _merged(of, weighed, labels), eligible)
        if round_ + 1 < ROUNDS:
            labels = _recut(of, labels, own)
    return _corroborated(of, weighed, labels)


def holding_counts(of: Holdings, labels: Ints, count: int) -> sparse.csr_array:
    """Members of each of `count` clusters that hold each value: (clusters, values)."""
    member = labels[of.accounts] >= 0
    ones = np.ones(int(member.sum()))
    shape = (count, len(of.values))
    return sparse.coo_array((ones, (labels[of.accounts[member]], of.held[member])), shape=shape).tocsr()


def _wording_cells(of: Holdings, weighed: Weights, eligible: Flags, seed: int) -> Ints:
    """Cell of each account by the templates and system prompts it shares; -1 for none.

    A cell of more than PUBLIC_SHARE of all accounts is what everybody says: it is cut again, by wordings for which
    something independent speaks.
    """
    edges = _ownable(of)[of.held] & eligible[of.accounts]
    cells = _communities(of, weighed, edges, seed)
    names, sizes = np.unique(cells[cells >= 0], return_counts=True)
    crowd = np.isin(cells, names[sizes > PUBLIC_SHARE * of.account_count])
    if crowd.any():
        spoken_for = edges & weighed.valid[of.held] & crowd[of.accounts]
        cells = np.where(crowd, _communities(of, weighed, spoken_for, seed), cells)
    return _numbered(cells, least=2)


def _durable_cells(of: Holdings, weighed: Weights, eligible: Flags) -> Ints:
    """Cell of each account by the cards, devices and telephones it shares; -1 for none."""
    telling = (weighed.control >= TELLING_CONTROL) & np.isin(of.group, DURABLE)
    return _numbered(_components(of, telling[of.held] & eligible[of.accounts]), least=2)


def _ownable(of: Holdings) -> Flags:
    """Templates and system prompts that few enough accounts hold: (values,)."""
    few = of.holder_counts <= max(PUBLIC_SHARE * of.account_count, MIN_ACCOUNTS)
    return np.isin(np.array(of.kinds, dtype=object), WORDINGS) & few


def _communities(of: Holdings, weighed: Weights, edges: Flags, seed: int) -> Ints:
    """Communities over some of the edges, weighed by control; every account counts about once.

    Each connected part is cut by itself, and each piece again until nothing divides it: how finely a campaign is cut
    must not depend on what else the world holds, as it does when modularity sees the whole.
    """
    control = np.where(edges, np.maximum(weighed.control, LEAST_CONTROL)[of.held], 0.0)
    whole = np.bincount(of.accounts, weights=control, minlength=of.account_count)
    weight = (control / np.sqrt(np.maximum(whole[of.accounts], 1e-9)))[edges]
    graph = _graph(of, edges, weight)
    _, parts = csgraph.connected_components(graph, directed=False)
    touched = np.flatnonzero(np.diff(graph.indptr))
    labels = np.full(graph.shape[0], -1, dtype=np.int64)
    waiting = _apart(touched, parts[touched])
    while waiting:
        nodes = waiting.pop()
        found = leiden(graph[nodes][:, nodes].tocsr(), RESOLUTION, seed, use_modularity=True)
        pieces = _apart(nodes, found)
        if len(pieces) == 1:
            labels[nodes] = nodes[0]
        else:
            waiting += pieces
    return labels[: of.account_count]


def _apart(nodes: Ints, labels: NDArray[np.integer]) -> list[Ints]:
    """The nodes in one array per label."""
    order = np.argsort(labels, kind="stable")
    pieces = np.split(nodes[order], np.flatnonzero(np.diff(labels[order])) + 1)
    return [piece for piece in pieces if len(piece)]


def _components(of: Holdings, edges: Flags) -> Ints:
    """Connected components of accounts over some of the edges; -1 for accounts without any."""
    graph = _graph(of, edges, np.ones(int(edges.sum())))
    _, found = csgraph.connected_components(graph, directed=False)
    return np.where(np.diff(graph.indptr), found, -1)[: of.account_count].astype(np.int64)


def _graph(of: Holdings, edges: Flags, weight: Floats) -> sparse.csr_array:
    """Accounts (first) and values over some of the edges; `weight` of each of these, both ways round."""
    size = of.account_count + len(of.values)
    rows, columns = of.accounts[edges], of.held[edges] + of.account_count
    both = (np.concatenate([rows, columns]), np.concatenate([columns, rows]))
    return sparse.coo_array((np.concatenate([weight, weight]), both), shape=(size, size)).tocsr()


def _merged(of: Holdings, weighed: Weights, labels: Ints) -> Ints:
    """Merge cells that at least two groups link, until none do."""
    while True:
        count = int(labels.max(initial=-1)) + 1
        left, right = _linked_pairs(of, weighed, labels, count)
        if not len(left):
            return labels
        pairs = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
        _, target = csgraph.connected_components(pairs, directed=False)
        labels = _numbered(np.where(labels >= 0, target[labels], -1).astype(np.int64), least=1)


def _linked_pairs(of: Holdings, weighed: Weights, labels: Ints, count: int) -> tuple[Ints, Ints]:
    """Pairs of cells that share more values than chance in groups other than content worth MIN_POINTS together."""
    points = sparse.csr_array((count, count))
    strength = sparse.csr_array((count, count))
    telling = weighed.control >= TELLING_CONTROL
    for group in range(len(GROUPS)):
        if group == CONTENT:
            continue
        left, right, p_values = _shared_beyond_chance(of, telling & (of.group == group), labels, count, group)
        counts = p_values <= GROUP_P_VALUE
        cells = (left[counts], right[counts])
        digits = -np.log10(np.maximum(p_values[counts], LEAST_P_VALUE))
        worth = np.full(len(digits), POINTS[group])
        points = points + sparse.coo_array((worth, cells), shape=(count, count)).tocsr()
        strength = strength + sparse.coo_array((digits, cells), shape=(count, count)).tocsr()
    pairs = points.tocoo()
    digits = np.asarray(strength[pairs.row, pairs.col]).ravel() if pairs.nnz else np.zeros(0)
    kept = (pairs.data >= MIN_POINTS) & (digits >= -np.log10(MERGE_P_VALUE))
    return pairs.row[kept].astype(np.int64), pairs.col[kept].astype(np.int64)


def _shared_beyond_chance(
    of: Holdings, wanted: Flags, labels: Ints, count: int, group: int
) -> tuple[Ints, Ints, Floats]:
    """Pairs of cells (left < right) that share any wanted value, and the chance of sharing as many.

    A cell that holds d of the D holdings of a group holds a value with n holders by chance with probability
    1 - exp(-n d / D); values shared by two cells are Poisson.
    """
    held = holding_counts(of, labels, count).tocsc()[:, np.flatnonzero(wanted)].tocsr()
    held.data = np.ones_like(held.data)
    shared = sparse.triu(held @ held.T, k=1).tocoo()
    left, right = shared.row.astype(np.int64), shared.col.astype(np.int64)
    if not len(left):
        return left, right, np.zeros(0)
    inside = labels >= 0
    degree = np.bincount(labels[inside], weights=of.degree[inside, group], minlength=count)
    sizes, how_many = np.unique(of.holder_counts[wanted], return_counts=True)
    chance = -np.expm1(-np.outer(degree, sizes) / max(float(of.degree[:, group].sum()), 1.0))
    expected = np.einsum("ij,ij,j->i", chance[left], chance[right], how_many.astype(np.float64))
    return left, right, np.asarray(stats.poisson.sf(shared.data - 1, expected))


def _settled(of: Holdings, weighed: Weights, labels: Ints, eligible: Flags) -> tuple[Ints, Ints]:
    """Admit and dismiss accounts until nothing changes; labels, and the cluster that owns each template."""
    own = np.full(len(of.values), -1, dtype=np.int64)
    independent, ownable = _independent(of, weighed), _ownable(of)
    for _ in range(PASSES):
        before, common = labels, _commonest(of, labels)
        tied, _ = _ties(of, independent, labels, common)
        own = _owners(of, ownable, labels, common, tied)
        tied, points = _ties(of, independent | ownable, labels, common)
        labels = np.where(eligible, _belonging(of, own, tied, points), -1)
        if np.array_equal(labels, before):
            break
    return labels, own


def _independent(of: Holdings, weighed: Weights) -> Flags:
    """Values that something independent speaks for, and that are no content: (values,)."""
    return weighed.valid & (of.group != CONTENT)


def _ties(of: Holdings, usable: Flags, labels: Ints, common: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """For each account the cluster that groups of usable values tie it to with most points, and the points."""
    home, inside = common
    edges = usable[of.held]
    account, value = of.accounts[edges], of.held[edges]
    mine = inside[value] - (labels[account] == home[value])
    least = np.where(of.group[value] == CONTENT, MIN_ACCOUNTS, 1)  # two can have the same taste
    ties = (mine >= least) & (mine >= TIE_SHARE * np.maximum(of.holder_counts[value] - 1, 1))
    triples = np.unique(np.stack([account[ties], home[value[ties]], of.group[value[ties]]]), axis=1)
    triples = np.repeat(triples, POINTS[triples[2]], axis=1)
    return _most(of.account_count, triples[0], triples[1])


def _owners(of: Holdings, ownable: Flags, labels: Ints, common: tuple[Ints, Ints], tied: Ints) -> Ints:
    """The cluster that owns each template, -1 for none; step 3 of the module summary."""
    home, inside = common
    holders = of.holder_counts
    own = np.where(ownable & (inside >= OWN_SHARE * holders) & (inside >= MIN_ACCOUNTS), home, -1)
    member = (labels[of.accounts] >= 0) & (own[of.held] >= 0)
    account, value = of.accounts[member], of.held[member]
    while True:
        at_home = labels[account] == own[value]
        owned = np.bincount(account[at_home], minlength=of.account_count)
        otherwise = at_home & ((owned[account] >= 2) | (tied[account] == labels[account]))
        supported = np.bincount(value[otherwise], minlength=len(holders))
        lost = (own >= 0) & ((supported < OWN_SHARE * holders) | (supported < MIN_ACCOUNTS))
        if not lost.any():
            return own
        own = np.where(lost, -1, own)


def _belonging(of: Holdings, own: Ints, tied: Ints, points: Ints) -> Ints:
    """Cluster of each account: whose templates it holds, else the one it has MIN_POINTS with."""
    owned = own[of.held] >= 0
    by_template, _ = _most(of.account_count, of.accounts[owned], own[of.held[owned]])
    return np.where(by_template >= 0, by_template, np.where(points >= MIN_POINTS, tied, -1))


def _recut(of: Holdings, labels: Ints, own: Ints) -> Ints:
    """The clusters cut into the cells that the templates they own hold together; those that own none stay whole.

    A system prompt is often one sentence, and holds no cell together. Members held by other groups alone are let go:
    they find back when their cluster settles.
    """
    template = np.array(of.kinds, dtype=object) == "template"
    cutting = np.where(template, own, -1)
    parts = _components(of, (cutting[of.held] >= 0) & (cutting[of.held] == labels[of.accounts]))
    cut = np.isin(labels, cutting[cutting >= 0])
    whole = np.where((labels >= 0) & ~cut, labels + of.account_count + len(of.values), -1)  # no name of a part
    return _numbered(np.where(parts >= 0, parts, whole), least=1)


def _corroborated(of: Holdings, weighed: Weights, labels: Ints) -> Ints:
    """Clusters of some size with at least MIN_ACCOUNTS members tied by a group other than content, numbered."""
    labels = _numbered(labels, least=SMALLEST)
    tied, _ = _ties(of, _independent(of, weighed), labels, _commonest(of, labels))
    corroborated = np.bincount(labels[(labels >= 0) & (tied == labels)], minlength=int(labels.max(initial=-1)) + 1)
    stands = np.append(corroborated >= MIN_ACCOUNTS, False)  # the last for -1
    return _numbered(np.where(stands[labels], labels, -1), least=SMALLEST)


def _membership(of: Holdings, weighed: Weights, labels: Ints) -> tuple[Floats, Ints]:
    """Bits that tie each member to its cluster, and how many groups do: (accounts,) each.

    One value speaks for each group, the most telling: how much commoner it is among the other members than among
    strangers, half an account added to both.
    """
    count = int(labels.max(initial=-1)) + 1
    held_by = holding_counts(of, labels, count)
    usable = (labels[of.accounts] >= 0) & (weighed.valid | (of.group == CONTENT))[of.held]
    account, value = of.accounts[usable], of.held[usable]
    home = labels[account]
    members = np.bincount(labels[labels >= 0], minlength=count)[home] - 1.0
    inside = (np.asarray(held_by[home, value]).ravel() if count else np.zeros(0)) - 1.0
    outside = of.holder_counts[value] - inside - 1.0
    times = times_commoner(inside, members, outside, of.account_count - members)
    bits = np.where(inside >= 1, np.clip(np.log2(times), 0.0, MAX_GROUP_BITS), 0.0)
    best = np.zeros((of.account_count, len(GROUPS)))
    np.maximum.at(best, (account, of.group[value]), bits)
    return np.round(best.sum(axis=1), 6), (best > 0).sum(axis=1).astype(np.int64)


def _commonest(of: Holdings, labels: Ints) -> tuple[Ints, Ints]:
    """The cluster with most holders of each value (-1 for none) and how many: (values,); of equals the first."""
    counts = holding_counts(of, labels, int(labels.max(initial=-1)) + 1).tocoo()
    order = np.lexsort((counts.row, -counts.data, counts.col))
    values, first = np.unique(counts.col[order], return_index=True)
    home = np.full(len(of.values), -1, dtype=np.int64)
    inside = np.zeros(len(of.values), dtype=np.int64)
    home[values], inside[values] = counts.row[order][first], counts.data[order][first]
    return home, inside


def _most(size: int, account: Ints, cluster: Ints) -> tuple[Ints, Ints]:
    """The cluster named most often for each account (-1 for none) and how often; of equals the first."""
    best = np.full(size, -1, dtype=np.int64)
    often = np.zeros(size, dtype=np.int64)
    pairs, counts = np.unique(np.stack([account, cluster]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    accounts, first = np.unique(pairs[0][order], return_index=True)
    best[accounts], often[accounts] = pairs[1][order][first], counts[order][first]
    return best, often


def _numbered(labels: Ints, *, least: int) -> Ints:
    """Labels renumbered by falling size, then first account; those with fewer than `least` accounts become -1."""
    known = labels >= 0
    names, first, inverse, sizes = np.unique(labels[known], return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.full(len(names), -1, dtype=np.int64)
    large = order[sizes[order] >= least]
    rank[large] = np.arange(len(large))
    numbered = np.full(len(labels), -1, dtype=np.int64)
    numbered[known] = rank[inverse]
    return numbered
