"""What recurs in changing texts, counted over shelves: fingerprints, and sets of them.

Why:    a key is a template's when the accounts that have it put it into ever new texts. Both counts, of texts and of
        accounts, are one number per key where the texts of an account come together.
Misses: nothing; tables that would take too much memory hold a part of the keys, and the others have another turn.
Source: own.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stillwatch.linkage.matching import place
from stillwatch.linkage.shelves import ACCOUNT, Shelves, first_copies

MOST_PLACES = 1 << 24  # of all tables together, 32 bytes each; two thirds are used at most
FEWEST_PLACES = 1 << 12
_VALUE, _TEXTS, _ACCOUNTS, _LAST = range(4)  # of a place: key, 0 where free; two counts; number of the last account + 1

Ints = NDArray[np.int64]
Prepared = Callable[[int], tuple[Ints, Ints]]  # rows of a shelf, made ready to be counted, and first copies of texts


class _Table:
    """Counts of the keys whose last bits, as many as `parts` - 1 has, are those of `part`."""

    def __init__(self, parts: int, part: int, most: int) -> None:
        """An empty table that grows to `most` places."""
        self.parts, self.part, self.most = parts, part, most
        self.left: list[tuple[int, int]] = []  # parts and part of keys that found no room
        self.places, self.used = np.zeros((FEWEST_PLACES, 4), np.int64), 0

    def add(self, rows: Ints, texts: Ints, columns: tuple[int, int], seen: NDArray[np.uint8], least: int) -> None:
        """Count what stands in some columns of some rows, those of one account after the other."""
        while len(texts):
            keys = (*columns, self.parts, self.part)
            done, self.used = _add(rows, texts, keys, (seen, least), self.places, self.used)
            texts = texts[done:]
            if len(texts):
                self._make_room()

    def _make_room(self) -> None:
        """Twice the places; half of the keys when there are no more."""
        size = 2 * len(self.places)
        if size > self.most:
            size = len(self.places)
            self.left.append((2 * self.parts, self.part + self.parts))
            self.parts *= 2
        self.places, self.used = _moved(self.places, size, self.parts, self.part)


def recurring(
    shelves: Shelves,
    columns: tuple[int, int],
    *,
    least: int,
    texts_per_account: float,
    threads: int,
    prepared: Prepared | None = None,
) -> Ints:
    """The keys, sorted, in at least so many texts, and in so many of each account that has them, on average.

    Keys stand in the columns from the first to before the second; 0 is none. `prepared` gives the rows of a shelf and
    which have the first copies of texts; left out, they are taken as they lie, and fingerprints whose counter is below
    `least` are left out early.
    """
    tables = 1 << (threads.bit_length() - 1)
    seen = shelves.seen if prepared is None else np.full(1, least, np.uint8)
    found, todo = [np.zeros(0, np.int64)], [(tables, part) for part in range(tables)]

    def shelf(number: int) -> tuple[Ints, Ints]:
        if prepared is not None:
            return prepared(number)
        rows = shelves.rows(number)
        return rows, first_copies(rows, shelves.by_account(rows))

    with ThreadPoolExecutor(threads) as pool:
        while todo:
            turn = [_Table(*todo.pop(), MOST_PLACES // tables) for _ in range(min(tables, len(todo)))]
            following = pool.submit(shelf, 0)
            for number in range(1, shelves.count + 1):
                rows, texts = following.result()
                if number < shelves.count:
                    following = pool.submit(shelf, number)
                counting = [pool.submit(partial(table.add, rows, texts, columns, seen, least)) for table in turn]
                for counted in counting:
                    counted.result()
            for table in turn:
                found.append(_varying(table.places, least, texts_per_account))
                todo += table.left
    return np.sort(np.concatenate(found))


def _varying(places: Ints, least: int, texts_per_account: float) -> Ints:
    texts, accounts = places[:, _TEXTS], places[:, _ACCOUNTS]
    varies = (places[:, _VALUE] != 0) & (texts >= least) & (texts >= texts_per_account * accounts)
    return places[varies, _VALUE]


@njit(nogil=True, cache=True)
def _find(key: np.int64, places: Ints) -> np.int64:
    """Where the key is, or would be."""
    at = place(key, len(places))
    while places[at, _VALUE] != 0 and places[at, _VALUE] != key:
        at = (at + 1) & (len(places) - 1)
    return at


@njit(nogil=True, cache=True)
def _add(
    rows: Ints,
    texts: Ints,
    keys: tuple[int, int, int, int],
    counters: tuple[NDArray[np.uint8], int],
    places: Ints,
    used: int,
) -> tuple[int, int]:
    """Count until there is no room for another row; how many rows were counted, and how many places are used."""
    first, last, parts, part = keys
    seen, least = counters
    room = 2 * len(places) // 3 - (last - first)
    for i in range(len(texts)):
        if used > room:
            return i, used
        owner = rows[texts[i], ACCOUNT] + 1
        for column in range(first, last):
            key = rows[texts[i], column]
            if key == 0 or key & (parts - 1) != part or seen[place(key, len(seen))] < least:
                continue
            at = _find(key, places)
            used += places[at, _VALUE] == 0
            places[at, _VALUE] = key
            places[at, _TEXTS] += 1
            places[at, _ACCOUNTS] += places[at, _LAST] != owner
            places[at, _LAST] = owner
    return len(texts), used


@njit(nogil=True, cache=True)
def _moved(places: Ints, size: int, parts: int, part: int) -> tuple[Ints, int]:
    """A table of that size with the keys of the part, and how many they are."""
    moved, used = np.zeros((size, 4), np.int64), 0
    for row in range(len(places)):
        key = places[row, _VALUE]
        if key != 0 and key & (parts - 1) == part:
            moved[_find(key, moved)] = places[row]
            used += 1
    return moved, used
