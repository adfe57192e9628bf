"""Accounts and the values they hold, laid out both ways round, so that nobody has to look for the other end."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Incidence(NamedTuple):
    """Every edge twice: by account, then value, and by value, then account.

    `held[start[a] : start[a + 1]]` are the values of account a, `holders[first[v] : first[v + 1]]` the accounts of
    value v, both in order; `start` is (accounts + 1,), `first` (values + 1,).
    """

    held: Ints
    start: Ints
    holders: Ints
    first: Ints


def incidence(accounts: Ints, held: Ints, account_count: int, value_count: int) -> Incidence:
    """The edges given by account and value, which are ordered by both, laid out."""
    start = np.append(0, np.cumsum(np.bincount(accounts, minlength=account_count))).astype(np.int64)
    return Incidence(held, start, *grouped(held, accounts, value_count))


@njit(nogil=True, cache=True)
def grouped(keys: Ints, items: Ints, size: int) -> tuple[Ints, Ints]:
    """The items of each key from 0 to before `size`, in the order they came, and where each key begins: (size + 1,)."""
    first = np.zeros(size + 1, np.int64)
    for key in keys:
        first[key + 1] += 1
    for key in range(size):
        first[key + 1] += first[key]
    place, ordered = first[:-1].copy(), np.empty(len(items), np.int64)
    for i in range(len(keys)):
        ordered[place[keys[i]]] = items[i]
        place[keys[i]] += 1
    return ordered, first
