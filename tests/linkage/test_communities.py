"""Communities: Leiden on a graph whose answer is plain."""

import numpy as np
from scipy import sparse

from stillwatch.linkage.cells import _within
from stillwatch.linkage.communities import leiden


def two_cliques() -> sparse.csr_array:
    graph = np.zeros((10, 10))
    graph[:5, :5] = graph[5:, 5:] = 1.0
    np.fill_diagonal(graph, 0.0)
    graph[0, 5] = graph[5, 0] = 0.1
    return sparse.csr_array(graph)


def test_two_cliques_with_a_thin_bridge_are_two_communities() -> None:
    labels = leiden(two_cliques(), 0.5, 0)
    assert len(set(labels[:5])) == 1
    assert len(set(labels[5:])) == 1
    assert labels[0] != labels[5]


def test_a_low_resolution_leaves_one_community() -> None:
    assert len(set(leiden(two_cliques(), 1e-4, 0))) == 1


def test_modularity_finds_the_two_cliques_as_well() -> None:
    labels = leiden(two_cliques(), 1.0, 0, use_modularity=True)
    assert labels[0] != labels[5]


def test_one_seed_gives_one_answer() -> None:
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((60, 60)) < 0.1, k=1).astype(float)
    graph = sparse.csr_array(upper + upper.T)
    np.testing.assert_array_equal(leiden(graph, 0.1, 3), leiden(graph, 0.1, 3))


def test_the_graph_among_some_nodes_is_that_part_of_its_matrix() -> None:
    rng = np.random.default_rng(1)
    graph = sparse.csr_array(np.where(rng.random((40, 40)) < 0.3, rng.random((40, 40)), 0.0))
    place = rng.integers(0, 40, size=40)
    for size in (1, 13, 40):
        nodes = np.sort(rng.choice(40, size, replace=False))
        start, ends, weights = _within(graph.indptr, graph.indices, graph.data, nodes, place)
        part = sparse.csr_array((weights, ends, start), shape=(size, size))
        np.testing.assert_array_equal(part.toarray(), graph[nodes][:, nodes].toarray())
