"""Counting holders by label agrees with counting them one by one."""

from collections import Counter

import numpy as np
import pytest
from tests.linkage.planted import background, indexed

from stillwatch.linkage.labels import commonest, holding_counts

ACCOUNTS = 80


@pytest.mark.parametrize("seed", range(3))
def test_the_commonest_label_of_a_value_is_the_first_of_those_with_most_holders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    of, labels = indexed(background(rng, ACCOUNTS), ACCOUNTS), rng.integers(-1, 5, size=ACCOUNTS)
    home, inside = commonest(of, labels)
    for value in range(len(of.values)):
        counts = Counter(labels[of.accounts[of.held == value]].tolist())
        del counts[-1]
        most = max(counts.values(), default=0)
        assert inside[value] == most
        assert home[value] == min((label for label, count in counts.items() if count == most), default=-1)


@pytest.mark.parametrize("wanted", [None, "ip"])
def test_members_that_hold_a_value_are_counted_by_label(wanted: str | None) -> None:
    rng = np.random.default_rng(4)
    of, labels = indexed(background(rng, ACCOUNTS), ACCOUNTS), rng.integers(-1, 5, size=ACCOUNTS)
    among = None if wanted is None else of.is_of([wanted])
    counts = np.zeros((5, len(of.values)))
    for account, value in zip(of.accounts.tolist(), of.held.tolist(), strict=True):
        if labels[account] >= 0 and (among is None or among[value]):
            counts[labels[account], value] += 1
    assert np.array_equal(holding_counts(of, labels, 5, among).toarray(), counts)
