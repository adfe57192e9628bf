"""Tails of distributions where the general library is slow: one pass of a recurrence instead of a sum per value.

Source: the ratio of neighbouring terms of the hypergeometric distribution; textbook.
"""

from math import exp, lgamma

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def hypergeometric(at_least: Ints, population: int, marked: Ints, drawn: int) -> Floats:
    """Chance that at least so many of `drawn` members of a population are marked: (values,), as both arrays are."""
    tails = np.empty(len(at_least))
    for i in range(len(at_least)):
        low = max(0, drawn - (population - marked[i]))
        k, last = max(at_least[i], low), min(marked[i], drawn)
        if at_least[i] <= low:
            tails[i] = 1.0
            continue
        if k > last:
            tails[i] = 0.0
            continue
        term = exp(_choose(marked[i], k) + _choose(population - marked[i], drawn - k) - _choose(population, drawn))
        total = term
        while k < last:
            others = population - marked[i] - drawn + k + 1
            term *= (marked[i] - k) / (k + 1) * ((drawn - k) / others)
            total += term
            k += 1
            if term < total * 1e-17:
                break
        tails[i] = min(total, 1.0)
    return tails


@njit(nogil=True, cache=True)
def _choose(n: int, k: int) -> float:
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)
