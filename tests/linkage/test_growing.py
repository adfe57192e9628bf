"""A set of cells grows by joins, each candidate tried on its trees and put back."""

import numpy as np
import pytest
from scipy import stats

from stillwatch.linkage.growing import (
    JOINING,
    World,
    _added,
    _could_add,
    _empty,
    _log_tail,
    _met,
    _taken_back,
    best_set,
)
from stillwatch.linkage.holdings import GROUPS

ACCOUNTS, CELLS, VALUES = 60, 12, 80


def a_world(seed: int) -> World:
    """Accounts in cells or in none, ten of them in a known cluster, and values that two to six of them hold."""
    rng = np.random.default_rng(seed)
    holders = [rng.choice(ACCOUNTS, size, replace=False) for size in rng.integers(2, 7, VALUES)]
    first = np.append(0, np.cumsum([len(each) for each in holders]))
    place = np.sort(rng.integers(len(JOINING), size=VALUES))
    cells = rng.integers(-1, CELLS, ACCOUNTS)
    rates, known = np.full(len(JOINING), 0.01), np.where(np.arange(ACCOUNTS) < 10, 0, np.arange(ACCOUNTS))
    return World(place, first, np.concatenate(holders), cells, rates, known, 3, 1.0, 8.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_try_tells_what_the_cell_adds_and_leaves_the_set_as_it_was(seed: int) -> None:
    world = a_world(seed)
    met = _met(world)
    state = _empty(met)
    for cell in range(CELLS):
        before = [each.copy() for each in state[:-1]]
        tried = _could_add(met, world.most, cell, state)
        for now, was in zip(state, before, strict=False):  # but for the room of the try
            np.testing.assert_array_equal(now, was)
        np.testing.assert_array_equal(tried, _added(met, world.most, cell, state))
    assert state.joins.sum() > VALUES / 2


@pytest.mark.parametrize(("step", "cells"), [(4.0, {0, 1, 2}), (8.0, {0, 1})])
def test_a_cell_that_gains_less_than_the_step_is_not_taken_in(step: float, cells: set[int]) -> None:
    """Two cards join two cells of four, and one device joins a third to them."""
    joins = np.array([[0, 4], [1, 5], [0, 8]])  # accounts, each value's two
    place = np.array([JOINING.index(GROUPS.index(group)) for group in ("payment", "payment", "device")])
    order = np.argsort(place, kind="stable")
    accounts, rates = np.arange(12), np.full(len(JOINING), 2e-5)
    first = np.arange(0, 2 * len(joins) + 1, 2)
    world = World(place[order], first, joins[order].ravel(), accounts // 4, rates, accounts, 3, 1.0, step)
    assert {*best_set(world)[1].tolist()} == cells


def test_a_set_that_is_taken_back_is_empty() -> None:
    world = a_world(0)
    met = _met(world)
    state, order = _empty(met), np.arange(CELLS)
    for cell in order:
        _added(met, world.most, cell, state)
    _taken_back(met, order, state)
    for now, empty in zip(state[:-1], _empty(met), strict=False):
        np.testing.assert_array_equal(now, empty)


@pytest.mark.parametrize(("count", "mean"), [(1, 0.03), (2, 0.5), (5, 0.2), (7, 9.0)])
def test_the_tail_is_the_poisson_distributions(count: int, mean: float) -> None:
    assert _log_tail(count, mean) == pytest.approx(stats.poisson.logsf(count - 1, mean))
