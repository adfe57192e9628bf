"""Cells merge for what strangers do not share, however many cells there are to meet by chance."""

import numpy as np
import pytest
from tests.linkage.planted import Row, account, indexed, no_starts

from stillwatch.linkage.holdings import Holdings, Ints
from stillwatch.linkage.merging import Linkable, merged
from stillwatch.linkage.synchrony import Synchrony
from stillwatch.linkage.weights import Weights

CELL = 5  # accounts


def linkable(of: Holdings) -> Linkable:
    values, everybody = len(of.values), np.ones(of.account_count, dtype=bool)
    weighed = Weights(np.ones(values), np.ones(values), np.ones(values, dtype=bool))
    nobody = np.full(of.account_count, -1, dtype=np.int64)
    return Linkable(of, weighed, Synchrony(no_starts(of)), everybody, ~everybody, nobody)


def strangers(cells: int, seed: int) -> tuple[list[Row], Ints]:
    """Accounts that share a card or an address with somebody by chance, and the cell of each."""
    rng, accounts = np.random.default_rng(seed), cells * CELL
    rows: list[Row] = []
    for number in range(accounts):
        rows.append((account(number), "payment", f"card-{rng.integers(accounts)}"))
        rows += [(account(number), "ip", f"address-{i}") for i in rng.integers(4 * accounts, size=2)]
    return rows, np.arange(accounts) // CELL


def cells_left(rows: list[Row], cell: Ints) -> int:
    labels = merged(linkable(indexed(rows, len(cell))), cell)
    return int(labels.max()) + 1


@pytest.mark.parametrize("seed", range(3))
def test_of_many_cells_of_strangers_none_merge(seed: int) -> None:
    """Of 1,000 cells some pairs share a card and an address by accident."""
    rows, cell = strangers(1000, seed)
    assert cells_left(rows, cell) == 1000


def test_cells_of_one_hand_merge_among_as_many_strangers() -> None:
    """Two cells share three cards and three addresses, which is more than the accidents of half a million pairs."""
    rows, cell = strangers(1000, 0)
    rows += [(account(number), "payment", f"h-card-{number % 3}") for number in range(2 * CELL)]
    rows += [(account(number), "ip", f"h-exit-{number % 3}") for number in range(2 * CELL)]
    assert cells_left(rows, cell) == 999
