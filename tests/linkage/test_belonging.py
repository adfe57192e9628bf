"""Who settles where: in the first passes stragglers come home, and a public tool's users stay out."""

import sys

import numpy as np
import pytest
from tests.linkage.planted import account, background, found_in, indexed, member_sets, no_starts

from stillwatch.linkage import Clusters, weights
from stillwatch.linkage.belonging import EASED, settled
from stillwatch.linkage.holdings import Holdings, Ints
from stillwatch.linkage.merging import Linkable
from stillwatch.linkage.synchrony import Synchrony

ACCOUNTS = 600
CELL = range(100, 114)
STRAGGLERS = range(114, 120)  # whom other wordings, of which they send more, put into other cells
USERS = range(300, 360)  # of a public tool


def world(wordings: int, holders: range) -> Holdings:
    rows = background(np.random.default_rng(0), ACCOUNTS)
    rows += [(account(i), "template", f"own-{t}") for i in holders for t in range(wordings)]
    return indexed(rows, ACCOUNTS)


def settle(of: Holdings, inside: range, eased: tuple[float, ...]) -> Ints:
    labels = np.full(ACCOUNTS, -1, dtype=np.int64)
    labels[list(inside)] = 0
    nobody = np.zeros(ACCOUNTS, dtype=bool)
    by = Linkable(of, weights(of), Synchrony(no_starts(of)), ~nobody, nobody, np.full(ACCOUNTS, -1, dtype=np.int64))
    return np.flatnonzero(settled(by, labels, eased)[0] == 0)


def test_stragglers_of_a_cell_just_cut_find_home() -> None:
    of = world(3, range(100, 120))
    assert settle(of, CELL, EASED).tolist() == list(range(100, 120))
    assert not settle(of, CELL, ()).size, "six of twenty holders elsewhere leave the cell nothing of its own"


def test_what_is_eased_at_first_is_asked_in_full_at_the_end() -> None:
    """The stragglers hold one of the wordings, which makes no member."""
    rows = background(np.random.default_rng(0), ACCOUNTS)
    rows += [(account(i), "template", f"own-{t}") for i in CELL for t in range(2)]
    rows += [(account(i), "template", f"own-{i % 2}") for i in STRAGGLERS]
    assert not settle(indexed(rows, ACCOUNTS), CELL, EASED).size


def test_what_many_hold_is_never_owned_for_less() -> None:
    of = world(3, range(300, 380))
    assert not settle(of, USERS, EASED).size, "80 of 600 accounts hold it, and a quarter are elsewhere"


def test_linkage_brings_stragglers_home(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.full(ACCOUNTS, -1, dtype=np.int64)
    cells[list(CELL)] = 0
    monkeypatch.setattr(sys.modules[Clusters.__module__], "wording_cells", lambda *_: cells)
    rows = background(np.random.default_rng(0), ACCOUNTS)
    rows += [(account(i), "template", f"own-{t}") for i in range(100, 120) for t in range(3)]
    rows += [(account(i), "payment", f"card-of-five-{i // 5}") for i in range(100, 120)]
    of, _, found = found_in(rows, ACCOUNTS)
    assert member_sets(of, found) == [{account(i) for i in range(100, 120)}]
