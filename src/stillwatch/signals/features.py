"""Words and word pairs of a prompt's head and tail, hashed once for all signals that count them.

A feature is 21 bits of the finished hash of a word, or of a word and the one before it:

    20            16 15                                 0
    +--------------+-------------------------------------+
    | its lowest 5 | its highest 16, the sign bit first  |      16 bits choose a weight, 5 a dimension, 1 a sign
    +--------------+-------------------------------------+

Source: Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numba import njit

from stillwatch.signals import oracle
from stillwatch.signals.hashing import FACTOR, MASK, SEED, finish, finish_reference
from stillwatch.signals.text import EXCERPT_HEAD, EXCERPT_TAIL, Tokens, excerpt, word

MOST_FEATURES = 2 * (EXCERPT_HEAD + EXCERPT_TAIL)  # of one text
WEIGHT_BITS = 16
WEIGHT_MASK = (1 << WEIGHT_BITS) - 1
DIMENSION_BITS = 5

_DIMENSION_MASK = np.uint64((1 << DIMENSION_BITS) - 1)
_WEIGHT_SHIFT, _DIMENSION_SHIFT = np.uint64(64 - WEIGHT_BITS), np.uint64(WEIGHT_BITS)

Starts = npt.NDArray[np.int64]
Features = npt.NDArray[np.uint32]


def features(tokens: Tokens) -> tuple[Starts, Features]:
    """Where each text's features start, and the features of all; made once per tokens."""
    return tokens.once("features", lambda: _all(tokens.hashes, tokens.bounds))


def hashes_reference(text: str | None) -> list[int]:
    """The finished hashes of one text's features."""
    found = []
    for span in oracle.excerpt(oracle.without_numbers(oracle.tokens(text))):
        pairs = [(first * int(FACTOR) & MASK) ^ second for first, second in pairwise(span)]
        found += [finish_reference(value ^ int(SEED)) for value in [*span, *pairs]]
    return found


@njit(nogil=True, cache=True)
def _feature(value: np.uint64) -> np.uint32:
    state = finish(value ^ SEED)
    return np.uint32((state >> _WEIGHT_SHIFT) | ((state & _DIMENSION_MASK) << _DIMENSION_SHIFT))


@njit(nogil=True, cache=True)
def _all(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> tuple[Starts, Features]:
    """Features of every text, one after the other."""
    starts = np.zeros(len(bounds), np.int64)
    for row in range(len(bounds) - 1):
        head, head_end, tail, tail_end = excerpt(bounds, row)
        count = max(2 * (head_end - head) - 1, 0) + max(2 * (tail_end - tail) - 1, 0)
        starts[row + 1] = starts[row] + count
    found = np.empty(starts[-1], np.uint32)
    used = 0
    for row in range(len(bounds) - 1):
        head, head_end, tail, tail_end = excerpt(bounds, row)
        for first, last in ((head, head_end), (tail, tail_end)):
            if first < last:
                _fill(hashes[first:last], found[used:])
                used += 2 * (last - first) - 1
    return starts, found


@njit(nogil=True, cache=True)
def _fill(tokens: npt.NDArray[np.uint64], found: Features) -> None:
    """Write the features of one span: its words, then its pairs. Two plain loops, so that each is done side by side."""
    size = len(tokens)
    for i in range(size):
        found[i] = _feature(word(tokens[i]))
    for i in range(size - 1):
        found[size + i] = _feature((word(tokens[i]) * FACTOR) ^ word(tokens[i + 1]))
