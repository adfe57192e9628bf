"""Holders of traits dealt anew at random: every account keeps how many values it holds, every value how many holders.

Source: the configuration model (Newman, Strogatz & Watts, Phys. Rev. E 64 (2001) 026118): ends of edges are paired at
    random. An edge that then stands twice changes its end with a random other one (Maslov & Sneppen, Science 296
    (2002) 910), which keeps both counts; what cannot be mended is put back as it was.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ROUNDS = 200  # tries to mend the edges that stand twice


def dealt(accounts: Ints, values: Ints, segments: Ints, rng: np.random.Generator) -> Ints:
    """A new account for every edge, drawn among the edges of the same segment; no edge stands twice.

    `accounts`, `values` and `segments` (edges,) are the two ends and the segment of each edge, which must all differ.
    An edge of a segment below zero stays.
    """
    result = accounts.copy()
    for segment in np.unique(segments[segments >= 0]):
        places = np.flatnonzero(segments == segment)
        result[places] = _mended(rng.permutation(accounts[places]), values[places], rng, accounts[places])
    return result


def _mended(accounts: Ints, values: Ints, rng: np.random.Generator, before: Ints) -> Ints:
    """The edges with repeated ones swapped away; the accounts as they were when that does not end."""
    for _ in range(ROUNDS):
        repeated = _repeated(accounts, values)
        if not len(repeated):
            return accounts
        partners = rng.integers(len(accounts), size=len(repeated))
        for place, partner in zip(repeated.tolist(), partners.tolist(), strict=True):
            accounts[place], accounts[partner] = accounts[partner], accounts[place]
    return before


def _repeated(accounts: Ints, values: Ints) -> Ints:
    """Places of the edges that stand there already."""
    order = np.lexsort((values, accounts))
    same = (np.diff(accounts[order]) == 0) & (np.diff(values[order]) == 0)
    return np.asarray(order[1:][same], dtype=np.int64)


def codes(names: Sequence[str]) -> Ints:
    """A whole number for each name, the same for the same name."""
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1].astype(np.int64)
