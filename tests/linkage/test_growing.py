"""A set of cells grows by joins, each candidate tried and put back."""

import pytest
from scipy import stats

from stillwatch.linkage.growing import _log_tail


@pytest.mark.parametrize(("count", "mean"), [(1, 0.03), (2, 0.5), (5, 0.2), (7, 9.0)])
def test_the_tail_is_the_poisson_distributions(count: int, mean: float) -> None:
    assert _log_tail(count, mean) == pytest.approx(stats.poisson.logsf(count - 1, mean))
