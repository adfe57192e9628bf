"""Parts are all places, in order, whatever they cost."""

import numpy as np
import pytest

from stillwatch.linkage.parts import LEAST_COST, in_parts


@pytest.mark.parametrize("cores", [1, 2, 5])
@pytest.mark.parametrize("places", [0, 1, 7, 500])
def test_parts_are_every_place_once_and_in_order(cores: int, places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    costs = np.random.default_rng(places).integers(0, LEAST_COST, size=places)
    found = in_parts(lambda first, last: list(range(first, last)), costs)
    assert [place for part in found for place in part] == list(range(places))


def test_one_place_that_costs_more_than_all_others_is_a_part() -> None:
    costs = np.ones(100, np.int64)
    costs[40] = 100 * LEAST_COST
    assert sum(in_parts(lambda first, last: last - first, costs)) == 100
