"""What is chosen account by account while sketches lie on shelves: embeddings of a day, texts that families are of.

Why:    both are the first few of an account by a number. A window of the engine would hold and sort all exchanges for
        it; on a shelf the exchanges of an account are together already.
Misses: nothing; `rollups.chosen` and the sample of `families` choose the same.
Source: own.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from stillwatch.linkage.matching import Vocabulary, indexed, number_of
from stillwatch.linkage.shelves import ACCOUNT, DAY_BITS, DAY_US, EXCHANGE, NO_PROMPT, NOTE, TEXT, numbered

Ints = NDArray[np.int64]


class Limits(NamedTuple):
    """Of an account and day with too many exchanges, the greatest number among those that keep their embeddings.

    `cells` has the account and day, `most` (cells,) the numbers, `accounts` the number of every account by its name.
    """

    cells: Vocabulary
    most: Ints
    accounts: dict[str, int]

    def kept(self, batch: pa.RecordBatch) -> pa.Array:
        """The embeddings of a batch with those of the exchanges beyond a limit left out."""
        accounts = numbered(batch["account_id"], self.accounts)
        times = np.asarray(batch["started_at"].cast(pa.int64()), np.int64)
        is_kept = np.empty(len(accounts), np.bool_)
        _within(accounts, times, np.asarray(batch["exchange_id"], np.int64), self.cells, self.most, is_kept)
        return pc.if_else(pa.array(is_kept), batch["embedding"], pa.scalar(None, batch["embedding"].type))


def limits(found: list[tuple[Ints, Ints]], accounts: dict[str, int]) -> Limits:
    """The limits of all shelves, as `limits_of_shelf` found them."""
    cells, most = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in zip(*found, strict=True))
    return Limits(indexed(cells), most, accounts)


@njit(nogil=True, cache=True)
def texts_of_shelf(rows: Ints, copies: Ints, one_in: int, most: int) -> tuple[Ints, Ints]:
    """Account and id of the first texts of each account by id, of one in so many of those in a writing system.

    `copies` are the rows with the first copy of each text, account by account.
    """
    owners, texts, used, first = np.empty(len(copies), np.int64), np.empty(len(copies), np.int64), 0, 0
    while first < len(copies):
        account, start = rows[copies[first], ACCOUNT], used
        while first < len(copies) and rows[copies[first], ACCOUNT] == account:
            row = copies[first]
            if rows[row, NOTE] & 1 and rows[row, TEXT] % one_in == 0:
                owners[used], texts[used] = account, rows[row, TEXT]
                used += 1
            first += 1
        texts[start:used] = np.sort(texts[start:used])
        used = min(used, start + most)
    return owners[:used].copy(), texts[:used].copy()


@njit(nogil=True, cache=True)
def _cell(account: np.int64, day: np.int64) -> np.int64:
    return (account << DAY_BITS) | day


@njit(nogil=True, cache=True)
def limits_of_shelf(rows: Ints, order: Ints, per_day: int) -> tuple[Ints, Ints]:
    """Accounts and days with more than `per_day` exchanges, and the last number that is kept; `order` is by account.

    Of each day of an account the smallest numbers are held, ascending, and how many exchanges with a prompt there are.
    A day is looked for from the last one on: exchanges mostly come in the order of time.
    """
    cells, counts = np.empty(len(order), np.int64), np.zeros(len(order), np.int64)
    least = np.empty((len(order), per_day), np.int64)
    used = first = 0
    for i in range(len(order)):
        row = order[i]
        if i == 0 or rows[row, ACCOUNT] != rows[order[i - 1], ACCOUNT]:
            first = used
        if rows[row, NOTE] == NO_PROMPT:
            continue
        cell = _cell(rows[row, ACCOUNT], rows[row, NOTE] >> 1)
        at = used - 1
        while at >= first and cells[at] != cell:
            at -= 1
        if at < first:
            at, cells[used] = used, cell
            used += 1
        number, held = rows[row, EXCHANGE], min(counts[at], per_day)
        counts[at] += 1
        if held == per_day and number >= least[at, per_day - 1]:
            continue
        slot = min(held, per_day - 1)
        while slot > 0 and least[at, slot - 1] > number:
            least[at, slot] = least[at, slot - 1]
            slot -= 1
        least[at, slot] = number
    has_limit = np.flatnonzero(counts[:used] > per_day)
    return cells[has_limit], least[has_limit, per_day - 1]


@njit(nogil=True, cache=True)
def _within(
    accounts: Ints, times: Ints, numbers: Ints, cells: Vocabulary, most: Ints, is_kept: NDArray[np.bool_]
) -> None:
    """Fill `is_kept` (rows,): whether there is no limit for the account and day, or the number does not exceed it."""
    for row in range(len(accounts)):
        number = number_of(_cell(accounts[row], times[row] // DAY_US), cells)
        is_kept[row] = number < 0 or numbers[row] <= most[number]
