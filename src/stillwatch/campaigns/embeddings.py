"""Summed embeddings of many exchanges: integers that add up over accounts, days and machines without rounding.

Why:    the mean embedding of a cluster says how alike its prompts are and how far they lie from ordinary ones, and
        nobody has to keep a prompt for it.
Misses: meaning; prompts are alike here when they share words.
Source: kernel mean embeddings: Gretton et al., JMLR 13 (2012), 723-773, lemma 6 (unbiased estimates, here with the
        linear kernel on random features of the words).
"""

from dataclasses import dataclass

from stillwatch.records import EMBEDDING_SIZE

LENGTH = 127  # of one embedding; see signals/embedding.py


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
        if self.exchanges < 2:
            return None
        squared = sum(component * component for component in self.sums) / LENGTH**2
        return (squared - self.exchanges) / (self.exchanges * (self.exchanges - 1))
