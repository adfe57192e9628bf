"""Random features of the prompt: a signed count sketch of its words and word pairs in 32 dimensions.

Why:    means of embeddings add up over accounts, so a shift too small to see in one account is plain in a cluster.
Misses: meaning. Paraphrases share only the words they share; thirty-two dimensions are for averages, not for search.
Source: Charikar, Chen & Farach-Colton (2002), "Finding frequent items in data streams", ICALP (count sketch);
        Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML, section 3 (signed hash).
        Deviation: the root is taken of each dimension's sum, not of each word's count, so one pass needs no memory.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import EMBEDDING_SIZE, SIGNALS
from stillwatch.signals.features import WEIGHT_BITS, features, hashes_reference
from stillwatch.signals.text import Batch, nullable_vectors

COLUMNS = ("embedding",)
READS = ("prompt",)

LENGTH = 127  # of the vector, so that int8 holds each component
_SIGN_SHIFT = WEIGHT_BITS - 1


def signal(batch: Batch) -> dict[str, pa.Array]:
    """The embedding per exchange; null without a token."""
    prompt = batch.prompt
    vectors = _embeddings(*features(prompt))
    return {"embedding": nullable_vectors(vectors, prompt.is_empty, SIGNALS.column("embedding").type)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    text = exchange.get("prompt")
    sums = [0] * EMBEDDING_SIZE
    found = hashes_reference(str(text) if text else None)
    for state in found:
        sums[state & (EMBEDDING_SIZE - 1)] += -1 if state >> 63 else 1
    total = sum(abs(value) for value in sums)
    if not found:
        return {"embedding": None}
    return {"embedding": [_component(value, total) for value in sums]}


def _component(value: int, total: int) -> int:
    size = math.floor(math.sqrt(abs(value) * LENGTH * LENGTH / total) + 0.5) if total else 0
    return -size if value < 0 else size


@njit(nogil=True, cache=True)
def _embeddings(starts: npt.NDArray[np.int64], found: npt.NDArray[np.uint32]) -> npt.NDArray[np.int8]:
    """The embedding of every text from its features."""
    vectors = np.zeros((len(starts) - 1, EMBEDDING_SIZE), np.int8)
    sums, sizes = np.zeros(EMBEDDING_SIZE, np.int64), np.zeros(EMBEDDING_SIZE, np.float64)
    for row in range(len(vectors)):
        sums[:] = 0
        for i in range(starts[row], starts[row + 1]):
            dimension, sign = np.int64(found[i]) >> WEIGHT_BITS, (np.int64(found[i]) >> _SIGN_SHIFT) & 1
            sums[dimension] += 1 - 2 * sign
        total = max(np.abs(sums).sum(), 1)
        for k in range(EMBEDDING_SIZE):
            sizes[k] = np.floor(np.sqrt(abs(sums[k]) * LENGTH * LENGTH / total) + 0.5)
        for k in range(EMBEDDING_SIZE):
            vectors[row, k] = np.int8(sizes[k] if sums[k] > 0 else -sizes[k])
    return vectors
