"""Cells: accounts that share wordings, or cards, devices and telephones; what clusters are grown from.

Why:    a campaign deals its templates out, so content is where it is densest; cells by content first, and the other
        kinds then testify independently of how the cells were found.
Misses: accounts with a template of their own each.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden).
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.linkage.communities import leiden
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import holding_together, numbered
from stillwatch.linkage.parts import cores
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MIN_ACCOUNTS, OWNED

Flags = NDArray[np.bool_]

DURABLE = [GROUPS.index(name) for name in ("payment", "device", "contact")]
RESOLUTION = 0.3  # modularity below which a part is cut no further; lower takes teams along, higher splits campaigns
PUBLIC_SHARE = 0.25  # a template held by more of all accounts than this belongs to nobody
LEAST_CONTROL = 0.1  # what a wording counts in cells when nothing independent speaks for it yet
TELLING_CONTROL = 0.1  # share of holders under common control below which a value links no cells


def wording_cells(of: Holdings, weighed: Weights, eligible: Flags, seed: int) -> Ints:
    """Cell of each account by the templates and system prompts it shares; -1 for none.

    A cell of more than PUBLIC_SHARE of all accounts is what everybody says: it is cut again, by wordings for which
    something independent speaks.
    """
    edges = ownable(of)[of.held] & eligible[of.accounts]
    cells = _communities(of, weighed, edges, seed)
    names, sizes = np.unique(cells[cells >= 0], return_counts=True)
    crowd = np.isin(cells, names[sizes > PUBLIC_SHARE * of.account_count])
    if crowd.any():
        spoken_for = edges & weighed.valid[of.held] & crowd[of.accounts]
        cells = np.where(crowd, _communities(of, weighed, spoken_for, seed), cells)
    return numbered(cells, least=2)


def cells_within(of: Holdings, weighed: Weights, labels: Ints, seed: int) -> Ints:
    """Cell of each member of a cluster by the wordings that few enough of its members hold; -1 for none.

    What more than PUBLIC_SHARE of them hold is what everybody there says.
    """
    edge = np.flatnonzero((labels[of.accounts] >= 0) & ownable(of)[of.held])
    sizes = np.bincount(labels[labels >= 0])[labels[of.accounts[edge]]]
    few = np.zeros(len(of.held), dtype=bool)
    few[edge] = holding_together(of, labels, edge) <= PUBLIC_SHARE * sizes
    return numbered(_communities(of, weighed, few, seed), least=2)


def durable_cells(of: Holdings, weighed: Weights, eligible: Flags) -> Ints:
    """Cell of each account by the cards, devices and telephones it shares; -1 for none."""
    telling = (weighed.control >= TELLING_CONTROL) & np.isin(of.group, DURABLE)
    return numbered(components(of, telling[of.held] & eligible[of.accounts]), least=2)


def ownable(of: Holdings) -> Flags:
    """Templates and system prompts that few enough accounts hold: (values,)."""
    few = of.holder_counts <= max(PUBLIC_SHARE * of.account_count, MIN_ACCOUNTS)
    return of.is_of(OWNED) & few


def _communities(of: Holdings, weighed: Weights, edges: Flags, seed: int) -> Ints:
    """Communities over some of the edges, weighed by control; every account counts about once.

    Each connected part is cut by itself, and each piece again until nothing divides it: how finely a campaign is cut
    must not depend on what else the world holds, as it does when modularity sees the whole.
    """
    control = np.where(edges, np.maximum(weighed.control, LEAST_CONTROL)[of.held], 0.0)
    whole = np.bincount(of.accounts, weights=control, minlength=of.account_count)
    weight = (control / np.sqrt(np.maximum(whole[of.accounts], 1e-9)))[edges]
    return pieces(_graph(of, edges, weight), seed)[: of.account_count]


def pieces(graph: sparse.csr_array, seed: int) -> Ints:
    """The piece of each node of a symmetric graph that modularity divides no further, -1 without links: (nodes,)."""
    _, parts = csgraph.connected_components(graph, directed=False)
    touched = np.flatnonzero(np.diff(graph.indptr))
    labels = np.full(graph.shape[0], -1, dtype=np.int64)
    for nodes in _whole_pieces(graph, _apart(touched, parts[touched]), seed):
        labels[nodes] = nodes[0]
    return labels


def _whole_pieces(graph: sparse.csr_array, waiting: list[Ints], seed: int) -> Iterator[Ints]:
    """The pieces that nothing divides, of parts of the graph; several are cut at once, and in whatever order."""
    place = np.zeros(graph.shape[0], np.int64)

    def cut(nodes: Ints) -> list[Ints]:
        start, ends, weights = _within(graph.indptr, graph.indices, graph.data, nodes, place)
        part = sparse.csr_array((weights, ends, start), shape=(len(nodes), len(nodes)))
        return _apart(nodes, leiden(part, RESOLUTION, seed, use_modularity=True))

    waiting = sorted(waiting, key=len)
    with ThreadPoolExecutor(cores()) as pool:
        cutting: set[Future[list[Ints]]] = set()
        while waiting or cutting:
            while waiting and len(cutting) < cores():
                cutting.add(pool.submit(cut, waiting.pop()))
            done, cutting = wait(cutting, return_when=FIRST_COMPLETED)
            for pieces in (one.result() for one in done):
                if len(pieces) == 1:
                    yield pieces[0]
                else:
                    waiting += pieces


@njit(nogil=True, cache=True)
def _within(
    indptr: NDArray[np.int32], indices: NDArray[np.int32], data: Floats, nodes: Ints, place: Ints
) -> tuple[Ints, NDArray[np.int32], Floats]:
    """The graph among some nodes, which are in order: rows of its own matrix, compressed.

    `place` (nodes of the whole graph,) may hold anything; several calls can share it if they have no node in common.
    """
    for i in range(len(nodes)):
        place[nodes[i]] = i
    start, used = np.zeros(len(nodes) + 1, np.int64), 0
    most = 0
    for node in nodes:
        most += indptr[node + 1] - indptr[node]
    ends, weights = np.empty(most, np.int32), np.empty(most)
    for i in range(len(nodes)):
        for edge in range(indptr[nodes[i]], indptr[nodes[i] + 1]):
            at = place[indices[edge]]
            if at < len(nodes) and nodes[at] == indices[edge]:
                ends[used], weights[used] = at, data[edge]
                used += 1
        start[i + 1] = used
    return start, ends[:used], weights[:used]


def _apart(nodes: Ints, labels: NDArray[np.integer]) -> list[Ints]:
    """The nodes in one array per label."""
    order = np.argsort(labels, kind="stable")
    pieces = np.split(nodes[order], np.flatnonzero(np.diff(labels[order])) + 1)
    return [piece for piece in pieces if len(piece)]


def components(of: Holdings, edges: Flags) -> Ints:
    """Connected components of accounts over some of the edges; -1 for accounts without any."""
    graph = _graph(of, edges, np.ones(int(edges.sum())))
    _, found = csgraph.connected_components(graph, directed=False)
    return np.where(np.diff(graph.indptr), found, -1)[: of.account_count].astype(np.int64)


def _graph(of: Holdings, edges: Flags, weight: Floats) -> sparse.csr_array:
    """Accounts (first) and values over some of the edges; `weight` of each of these, both ways round."""
    size = of.account_count + len(of.values)
    rows, columns = of.accounts[edges], of.held[edges] + of.account_count
    return linked(rows, columns, weight, size)


def linked(one: Ints, other: Ints, weight: Floats, size: int) -> sparse.csr_array:
    """The graph of so many nodes in which each of `one` is linked to that of `other`, both ways round."""
    both = (np.concatenate([one, other]), np.concatenate([other, one]))
    return sparse.coo_array((np.concatenate([weight, weight]), both), shape=(size, size)).tocsr()
