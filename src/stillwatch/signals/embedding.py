"""Random features of the prompt: a signed count sketch of its words and word pairs in 32 dimensions.

Why:    means of embeddings add up over accounts, so a shift too small to see in one account is plain in a cluster.
Misses: meaning. Paraphrases share only the words they share; thirty-two dimensions are for averages, not for search.
Source: Charikar, Chen & Farach-Colton (2002), "Finding frequent items in data streams", ICALP (count sketch);
        Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML, section 3 (signed hash).
        Deviation: the root is taken of each dimension's sum, not of each word's count, so one pass needs no memory.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import EMBEDDING_SIZE, SIGNALS
from stillwatch.signals import oracle
from stillwatch.signals.hashing import FACTOR, MASK, SEED, finish, finish_reference
from stillwatch.signals.text import Batch, excerpt, nullable_vectors, word

COLUMNS = ("embedding",)
READS = ("prompt",)

LENGTH = 127  # of the vector, so that int8 holds each component
_PAIR = FACTOR
_DIMENSION_MASK = np.uint64(EMBEDDING_SIZE - 1)
_SIGN_SHIFT = np.uint64(63)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """The embedding per exchange; null without a token."""
    prompt = batch.prompt
    vectors = _embeddings(prompt.hashes, prompt.bounds)
    return {"embedding": nullable_vectors(vectors, prompt.is_empty, SIGNALS.column("embedding").type)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    text = exchange.get("prompt")
    sums = [0] * EMBEDDING_SIZE
    found = oracle.without_numbers(oracle.tokens(str(text) if text else None))
    for span in oracle.excerpt(found):
        pairs = [(first * int(_PAIR) & MASK) ^ second for first, second in pairwise(span)]
        for feature in [*span, *pairs]:
            state = finish_reference(feature ^ int(SEED))
            sums[state & (EMBEDDING_SIZE - 1)] += -1 if state >> 63 else 1
    total = sum(abs(value) for value in sums)
    if not found:
        return {"embedding": None}
    return {"embedding": [_component(value, total) for value in sums]}


def _component(value: int, total: int) -> int:
    size = math.floor(math.sqrt(abs(value) * LENGTH * LENGTH / total) + 0.5) if total else 0
    return -size if value < 0 else size


@njit(nogil=True, cache=True)
def _add(feature: np.uint64, sums: npt.NDArray[np.int64]) -> None:
    state = finish(feature ^ SEED)
    sums[np.int64(state & _DIMENSION_MASK)] += np.int64(1) - np.int64(2) * np.int64(state >> _SIGN_SHIFT)


@njit(nogil=True, cache=True)
def _embeddings(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """The embedding of every text."""
    vectors = np.zeros((len(bounds) - 1, EMBEDDING_SIZE), np.int8)
    sums = np.zeros(EMBEDDING_SIZE, np.int64)
    for row in range(len(vectors)):
        sums[:] = 0
        head, head_end, tail, tail_end = excerpt(bounds, row)
        for first, last in ((head, head_end), (tail, tail_end)):
            for i in range(first, last):
                token = word(hashes[i])
                _add(token, sums)
                if i > first:
                    _add((word(hashes[i - 1]) * _PAIR) ^ token, sums)
        total = np.abs(sums).sum()
        for k in range(EMBEDDING_SIZE):
            if sums[k]:
                size = np.floor(np.sqrt(abs(sums[k]) * LENGTH * LENGTH / total) + 0.5)
                vectors[row, k] = np.int8(size if sums[k] > 0 else -size)
    return vectors
