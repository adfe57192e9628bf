"""Clusters: planted campaigns are found exactly, chance forms none, and order does not matter."""

import numpy as np
import pytest
from tests.linkage.planted import account, background, campaign, found_in, indexed, member_sets, shuffled_kinds

from stillwatch.linkage import clusters, weights
from stillwatch.linkage.clusters import MIN_ACCOUNTS

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(100, 124)]


def planted(seed: int) -> list[tuple[str, str, str]]:
    return background(np.random.default_rng(seed), ACCOUNTS) + campaign(MEMBERS)


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_campaign_is_found_exactly(seed: int) -> None:
    of, _, found = found_in(planted(seed), ACCOUNTS)
    assert member_sets(of, found) == [set(MEMBERS)]


def test_two_planted_campaigns_stay_apart_and_the_larger_comes_first() -> None:
    other = [account(i) for i in range(300, 316)]
    of, _, found = found_in(planted(0) + campaign(other, "y"), ACCOUNTS)
    assert member_sets(of, found) == [set(MEMBERS), set(other)]


@pytest.mark.parametrize("seed", range(10))
def test_holders_dealt_anew_within_each_kind_form_no_cluster(seed: int) -> None:
    rows = shuffled_kinds(planted(seed), np.random.default_rng(1000 + seed))
    _, _, found = found_in(rows, ACCOUNTS)
    assert found.count == 0


def test_background_alone_forms_no_cluster() -> None:
    assert found_in(background(np.random.default_rng(7), ACCOUNTS), ACCOUNTS)[2].count == 0


def test_the_order_of_the_trait_table_does_not_matter() -> None:
    rows = planted(1)
    mixed = [rows[i] for i in np.random.default_rng(5).permutation(len(rows))]
    (of, weighed, found), (of_mixed, weighed_mixed, found_mixed) = found_in(rows, ACCOUNTS), found_in(mixed, ACCOUNTS)
    assert of.values == of_mixed.values
    np.testing.assert_array_equal(weighed.bits, weighed_mixed.bits)
    np.testing.assert_array_equal(found.of_account, found_mixed.of_account)
    np.testing.assert_array_equal(found.bits, found_mixed.bits)


def test_every_member_is_tied_by_two_groups_or_something_costly_and_strangers_by_nothing() -> None:
    _, _, found = found_in(planted(2), ACCOUNTS)
    inside = found.of_account >= 0
    assert (found.groups[inside] >= 2).all()
    assert (found.bits[inside] > 0).all()
    assert (found.bits[~inside] == 0).all()


def test_accounts_that_share_a_single_address_only_form_no_cluster() -> None:
    rows = background(np.random.default_rng(3), ACCOUNTS) + [(m, "ip", "one-exit") for m in MEMBERS]
    assert found_in(rows, ACCOUNTS)[2].count == 0


def test_fewer_accounts_than_can_corroborate_one_another_form_no_cluster() -> None:
    pair = MEMBERS[: MIN_ACCOUNTS - 1]
    rows = background(np.random.default_rng(3), ACCOUNTS) + campaign(pair)
    assert found_in(rows, ACCOUNTS)[2].count == 0


def test_a_member_that_mixes_in_much_other_traffic_is_still_a_member() -> None:
    noise = [(MEMBERS[0], "template", f"public-{t}") for t in range(40)]
    of, _, found = found_in(planted(0) + noise, ACCOUNTS)
    assert member_sets(of, found) == [set(MEMBERS)]


def test_without_any_trait_every_account_is_in_no_cluster() -> None:
    of = indexed([], 4)
    found = clusters(of, weights(of), seed=0)
    assert found.of_account.tolist() == [-1, -1, -1, -1]
    assert found.count == 0
