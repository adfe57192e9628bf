"""Tails: the recurrence agrees with the general library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stillwatch.linkage.tails import hypergeometric


@given(st.data())
def test_the_hypergeometric_tail_is_that_of_the_library(data: st.DataObject) -> None:
    population = data.draw(st.integers(1, 3000))
    drawn, marked = data.draw(st.integers(0, population)), data.draw(st.integers(0, population))
    at_least = np.array(data.draw(st.lists(st.integers(0, population), min_size=1, max_size=5)), np.int64)
    found = hypergeometric(at_least, population, np.full(len(at_least), marked), drawn)
    wanted = stats.hypergeom.sf(at_least - 1, population, marked, drawn)
    assert found == pytest.approx(wanted, rel=1e-8, abs=1e-300)
