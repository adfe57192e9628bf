"""Parts are all places, in order, whatever they cost."""

import os
import threading

import numpy as np
import pytest

from stillwatch.linkage.parts import LEAST_COST, cores, in_parts, on_cores


@pytest.mark.parametrize("cores", [1, 2, 5])
@pytest.mark.parametrize("places", [0, 1, 7, 500])
def test_parts_are_every_place_once_and_in_order(cores: int, places: int) -> None:
    costs = np.random.default_rng(places).integers(0, LEAST_COST, size=places)
    with on_cores(cores):
        found = in_parts(lambda first, last: list(range(first, last)), costs)
    assert [place for part in found for place in part] == list(range(places))


def test_one_place_that_costs_more_than_all_others_is_a_part() -> None:
    costs = np.ones(100, np.int64)
    costs[40] = 100 * LEAST_COST
    assert sum(in_parts(lambda first, last: last - first, costs)) == 100


def test_work_takes_no_more_cores_than_it_was_given() -> None:
    here = threading.get_ident()
    with on_cores(1):
        found = in_parts(lambda first, last: threading.get_ident(), np.full(50, LEAST_COST))
    assert found == [here]


def test_all_cores_are_given_outside_and_where_nothing_is_said() -> None:
    every = os.cpu_count()
    with on_cores(3):
        assert cores() == 3
        with on_cores(0):
            assert cores() == every
        assert cores() == 3
    assert cores() == every
