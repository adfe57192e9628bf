"""Weights: values that an independent group corroborates weigh something, others nothing."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats
from tests.linkage.planted import account, background, campaign, indexed, shuffled_kinds

from stillwatch.linkage import weights
from stillwatch.linkage.holdings import GROUPS
from stillwatch.linkage.weights import (
    MIN_OVERLAP,
    TELLING_OVERLAP,
    _expected_surplus,
    mixing,
    overlap_p_values,
    overlaps,
    pair_variance,
)

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(40, 64)]


def test_a_campaigns_own_values_are_valid_and_strangers_values_are_not() -> None:
    of = indexed(background(np.random.default_rng(0), ACCOUNTS) + campaign(MEMBERS), ACCOUNTS)
    found = weights(of)
    own = np.array([value.startswith("x-") for value in of.values])
    shared_by_many = own & np.isin(of.kinds, ["template", "ip"])
    assert found.valid[shared_by_many].all()
    assert found.valid[~own].mean() < 0.02


def test_values_that_are_not_valid_weigh_nothing_and_control_is_a_share() -> None:
    of = indexed(background(np.random.default_rng(1), ACCOUNTS) + campaign(MEMBERS), ACCOUNTS)
    found = weights(of)
    assert (found.bits[~found.valid] == 0).all()
    assert (found.bits >= 0).all()
    assert ((found.control >= 0) & (found.control < 1)).all()


def test_a_value_that_a_quarter_of_the_accounts_holds_corroborates_nothing() -> None:
    rows = background(np.random.default_rng(2), ACCOUNTS)
    rows += [(account(i), "template", "everybodys") for i in range(300)]
    rows += [(account(i), "ip", "carrier") for i in range(300)]
    of = indexed(rows, ACCOUNTS)
    found = weights(of)
    assert not found.valid[of.values.index("everybodys")]
    assert not found.valid[of.values.index("carrier")]


def test_values_of_one_group_do_not_corroborate_one_another() -> None:
    rows = background(np.random.default_rng(3), ACCOUNTS)
    rows += [(member, "template", f"suite-{t}") for member in MEMBERS for t in range(8)]
    of = indexed(rows, ACCOUNTS)
    found = weights(of)
    assert not found.valid[[value.startswith("suite-") for value in of.values]].any()


def test_without_values_there_are_no_weights() -> None:
    assert len(weights(indexed([], 3)).bits) == 0


def test_overlaps_count_the_accounts_that_hold_both_values() -> None:
    rows = [(account(i), "template", "t") for i in range(5)] + [(account(i), "ip", "p") for i in range(3, 8)]
    of = indexed(rows, 8)
    everything = np.ones(2, dtype=bool)
    value, other, shared = overlaps(of, everything, 2)
    assert (value.tolist(), other.tolist(), shared.tolist()) == ([0], [1], [2])
    assert not len(overlaps(of, everything, 3)[0])


def test_the_overlap_p_value_is_the_binomial_tail() -> None:
    got = overlap_p_values(np.array([3]), np.array([10]), np.array([0.5]))
    np.testing.assert_allclose(got, 1 - stats.binom.cdf(2, 10, 0.05))


@pytest.mark.parametrize("holders", [2, 3, 5])
def test_the_variance_over_pairs_of_holders_is_that_of_all_draws(holders: int) -> None:
    held = np.array([0.0, 1.0, 1.0, 9.0])
    sums = [sum(a * b for a, b in combinations(drawn, 2)) for drawn in product(held.tolist(), repeat=holders)]
    spread = held.var() / held.mean() ** 2
    got = pair_variance(np.array([spread]), np.array([holders]))
    np.testing.assert_allclose(got, np.var(sums) / np.mean(sums) ** 2)


def test_holders_dealt_anew_share_as_much_as_is_expected_on_average() -> None:
    expected = seen = 0.0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        of = indexed(shuffled_kinds(background(rng, 200), rng), 200)
        value, other, shared = overlaps(of, np.ones(len(of.values), dtype=bool), MIN_OVERLAP)
        by_chance = of.holder_counts[value] * of.holder_counts[other] * mixing(of)[of.group[value], of.group[other]]
        is_address = of.group == GROUPS.index("network")
        addresses = (is_address[value] | is_address[other]) & (by_chance <= TELLING_OVERLAP)
        expected += float(_expected_surplus(of)[:, GROUPS.index("network")].sum())
        seen += float((shared[addresses] - 1).sum())
    assert seen == pytest.approx(expected, rel=0.1)


def test_mixing_is_one_over_the_accounts_when_all_accounts_hold_alike() -> None:
    rows = [(account(i), "template", f"t{i % 4}") for i in range(20)] + [
        (account(i), "ip", f"p{i // 4}") for i in range(20)
    ]
    of = indexed(rows, 20)
    content, network = sorted(set(of.group.tolist()))
    np.testing.assert_allclose(mixing(of)[content, network], 1 / 20)


def test_holders_dealt_anew_within_each_kind_make_no_value_valid() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = background(rng, ACCOUNTS) + campaign(MEMBERS)
        assert not weights(indexed(shuffled_kinds(rows, rng), ACCOUNTS)).valid.any()
