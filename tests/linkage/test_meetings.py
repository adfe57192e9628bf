"""Meetings of values, and whom they cover, agree with looking at every pair."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stillwatch.linkage.incidence import Incidence, grouped, incidence
from stillwatch.linkage.meetings import covered, met

ACCOUNTS, VALUES, GROUPS = 30, 60, 4
Table = NDArray[np.bool_]


def world(seed: int) -> tuple[Table, NDArray[np.int64], Incidence]:
    """Who holds what, the group of each value, and the same laid out; a few accounts hold nearly everything."""
    rng = np.random.default_rng(seed)
    holds = rng.random((ACCOUNTS, VALUES)) < 0.1
    holds[:3] |= rng.random((3, VALUES)) < 0.9
    accounts, held = np.nonzero(holds)
    return holds, np.sort(rng.integers(GROUPS, size=VALUES)), incidence(accounts, held, ACCOUNTS, VALUES)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_that_meet_are_those_that_a_matrix_product_finds(seed: int) -> None:
    holds, group, of = world(seed)
    speaks = np.random.default_rng(seed).random((GROUPS, GROUPS)) < 0.7
    together = holds.T.astype(int) @ holds
    wanted = (group[:, None] < group[None, :]) & speaks[group[:, None], group[None, :]] & (together >= 2)
    value, other, shared = met(of, group, speaks, 2)
    assert {*zip(value.tolist(), other.tolist(), shared.tolist(), strict=True)} == {
        (v, w, together[v, w]) for v, w in zip(*map(np.ndarray.tolist, np.nonzero(wanted)), strict=True)
    }


@pytest.mark.parametrize(("seed", "share"), [(0, 0.02), (1, 0.1), (2, 0.5), (3, 0.0)])
def test_covered_holders_are_those_who_hold_a_partner_too(seed: int, share: float) -> None:
    holds, group, of = world(seed)
    pairs = np.random.default_rng(seed).random((VALUES, VALUES)) < share
    value, other = np.nonzero(pairs)
    found = covered(of, value, other, group, GROUPS)
    for one in range(VALUES):
        for theirs in range(GROUPS):
            partners = pairs[one] & (group == theirs)
            assert found[one, theirs] == (holds[:, one] & holds[:, partners].any(axis=1)).sum()


def test_grouping_keeps_the_order_in_which_things_came() -> None:
    keys, items = np.array([2, 0, 2, 1, 0]), np.array([10, 11, 12, 13, 14])
    ordered, first = grouped(keys, items, 4)
    assert ordered.tolist() == [11, 14, 13, 10, 12]
    assert first.tolist() == [0, 2, 3, 5, 5]
