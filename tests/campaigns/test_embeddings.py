"""Summed embeddings against pairs of exchanges counted one by one."""

from itertools import combinations

import numpy as np
import pytest

from stillwatch.campaigns.embeddings import LENGTH, Embeddings
from stillwatch.records import EMBEDDING_SIZE


def of(vectors: list[list[int]]) -> Embeddings:
    """The sum of these embeddings, each a sum of one."""
    return sum((Embeddings(1, tuple(vector)) for vector in vectors), Embeddings())


def test_narrowness_is_the_mean_similarity_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(30, EMBEDDING_SIZE)) + 0.5
    vectors = np.rint(LENGTH * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(int).tolist()
    pairs = [sum(a * b for a, b in zip(one, other, strict=True)) for one, other in combinations(vectors, 2)]
    assert of(vectors).narrowness == pytest.approx(sum(pairs) / len(pairs) / LENGTH**2, abs=1e-3)


def test_equal_prompts_are_as_narrow_as_can_be() -> None:
    vector = [LENGTH, *[0] * (EMBEDDING_SIZE - 1)]
    assert of([vector] * 9).narrowness == pytest.approx(1.0)


def test_one_exchange_is_no_pair() -> None:
    assert Embeddings().narrowness is None
    assert of([[1] * EMBEDDING_SIZE]).narrowness is None
