"""Summed embeddings of many exchanges: integers that add up over accounts, days and machines without rounding.

Why:    the mean embedding of a cluster says how alike its prompts are and how far they lie from ordinary ones, and
        nobody has to keep a prompt for it.
Misses: meaning; prompts are alike here when they share words.
Source: kernel mean embeddings: Gretton et al., JMLR 13 (2012), 723-773, lemma 6 (unbiased estimates, here with the
        linear kernel on random features of the words).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillwatch.records import EMBEDDING_SIZE

LENGTH = 127  # of one embedding; see signals/embedding.py

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Exchanges with an embedding, and the sum of these vectors: at most 132 bytes as 32-bit integers."""

    exchanges: int = 0
    sums: tuple[int, ...] = (0,) * EMBEDDING_SIZE

    def __add__(self, other: "Embeddings") -> "Embeddings":
        """Merge. `Embeddings()` is the identity, and neither order nor grouping matters."""
        sums = tuple(one + another for one, another in zip(self.sums, other.sums, strict=True))
        return Embeddings(self.exchanges + other.exchanges, sums)

    @property
    def narrowness(self) -> float | None:
        """Mean similarity of two different exchanges, 0 for unrelated and 1 for equal words; null below two.

        Every embedding counts as of LENGTH; rounding to whole components makes that wrong by a percent or two.
        """
        found = narrowness(np.array([self.exchanges]), np.array([self.sums], np.int64))
        return float(found[0]) if self.exchanges > 1 else None


def narrowness(exchanges: Ints, sums: Ints) -> Floats:
    """That of many units, (units,) and (units, components); nought below two exchanges: (units,)."""
    squared = (sums * sums).sum(axis=1) / LENGTH**2
    return np.where(exchanges > 1, (squared - exchanges) / np.maximum(exchanges * (exchanges - 1), 1), 0.0)
