"""Holdings: the trait table as integers."""

import numpy as np
from tests.linkage.planted import account, indexed

from stillwatch.linkage.holdings import GROUPS, KINDS, with_values
from stillwatch.records import DURABILITIES

ROWS = [
    (account(2), "ip", "b"),
    (account(0), "ip", "b"),
    (account(1), "ip", "alone"),
    (account(1), "template", "t"),
    (account(0), "template", "t"),
    (account(2), "template", "t"),
    (account(0), "no such kind", "z"),
    (account(1), "no such kind", "z"),
]


def test_values_held_by_one_account_and_unknown_kinds_are_left_out() -> None:
    of = indexed(ROWS, 4)
    assert list(zip(of.kinds, of.values, strict=True)) == [("template", "t"), ("ip", "b")]
    assert of.holder_counts.tolist() == [3, 2]


def test_edges_are_sorted_and_start_points_at_each_account() -> None:
    of = indexed(ROWS, 4)
    edges = list(zip(of.accounts.tolist(), of.held.tolist(), strict=True))
    assert edges == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    assert of.start.tolist() == [0, 2, 3, 5, 5]


def test_accounts_without_traits_count_and_ids_are_sorted() -> None:
    of = indexed(ROWS, 4)
    assert of.account_count == 4
    assert of.account_ids == sorted(of.account_ids)


def test_degree_includes_values_that_nobody_else_holds() -> None:
    of = indexed(ROWS, 4)
    assert of.degree[:, GROUPS.index("network")].tolist() == [1, 1, 1, 0]
    assert of.degree[:, GROUPS.index("content")].tolist() == [1, 1, 1, 0]


def test_rows_of_unknown_accounts_are_ignored() -> None:
    of = indexed(ROWS, 2)
    assert of.accounts.max() == 1


def test_further_values_keep_the_edges_sorted_and_the_degrees_as_they_were() -> None:
    of = indexed(ROWS, 4)
    more = with_values(of, [np.array([1, 3])], ["address_pool"], ["pool"])
    assert more.values == ["t", "b", "pool"]
    assert more.holder_counts.tolist() == [3, 2, 2]
    assert list(zip(more.accounts, more.held, strict=True)) == sorted(zip(more.accounts, more.held, strict=True))
    assert more.start.tolist() == [0, 2, 4, 6, 7]
    np.testing.assert_array_equal(more.degree, of.degree)


def test_no_further_values_change_nothing() -> None:
    of = indexed(ROWS, 4)
    assert with_values(of, [], [], []) is of


def test_every_kind_has_a_durability_that_records_know() -> None:
    assert {durability for _, _, durability in KINDS.values()} <= set(DURABILITIES)
