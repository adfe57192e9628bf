"""Cells: accounts that share wordings, or cards, devices and telephones; what clusters are grown from.

Why:    a campaign deals its templates out, so content is where it is densest; cells by content first, and the other
        kinds then testify independently of how the cells were found.
Misses: accounts with a template of their own each.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.linkage.communities import leiden
from stillwatch.linkage.holdings import GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.labels import numbered
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MIN_ACCOUNTS, WORDINGS

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


def durable_cells(of: Holdings, weighed: Weights, eligible: Flags) -> Ints:
    """Cell of each account by the cards, devices and telephones it shares; -1 for none."""
    telling = (weighed.control >= TELLING_CONTROL) & np.isin(of.group, DURABLE)
    return numbered(components(of, telling[of.held] & eligible[of.accounts]), least=2)


def ownable(of: Holdings) -> Flags:
    """Templates and system prompts that few enough accounts hold: (values,)."""
    few = of.holder_counts <= max(PUBLIC_SHARE * of.account_count, MIN_ACCOUNTS)
    return of.is_of(WORDINGS) & few


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


def components(of: Holdings, edges: Flags) -> Ints:
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
