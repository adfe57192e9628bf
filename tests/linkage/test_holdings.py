"""Holdings: the trait table as integers."""

import pyarrow as pa
from tests.linkage.planted import account, indexed, trait_table

from stillwatch.linkage import holdings
from stillwatch.linkage.holdings import GROUPS
from stillwatch.records import DURABILITIES, KINDS

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


def test_a_setting_is_a_case_of_its_rewording_or_of_the_first_setting_of_it() -> None:
    held = [("rewording", "7"), ("setting", "7:1"), ("setting", "7:2"), ("setting", "-8:1"), ("setting", "-8:2")]
    of = indexed([(account(i), *one) for i in range(2) for one in [*held, ("template", "-8")]], 2)
    names = [f"{kind} {value}" for kind, value in zip(of.kinds, of.values, strict=True)]
    assert {name: names[root] for name, root in zip(names, of.root.tolist(), strict=True)} == {
        "rewording 7": "rewording 7",
        "setting 7:1": "rewording 7",
        "setting 7:2": "rewording 7",
        "setting -8:1": "setting -8:1",
        "setting -8:2": "setting -8:1",
        "template -8": "template -8",
    }


def test_edges_are_sorted_and_start_points_at_each_account() -> None:
    of = indexed(ROWS, 4)
    edges = list(zip(of.accounts.tolist(), of.held.tolist(), strict=True))
    assert edges == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    assert of.edges.start.tolist() == [0, 2, 3, 5, 5]


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


def test_every_kind_has_a_durability_that_records_know() -> None:
    assert {durability for _, _, durability in KINDS.values()} <= set(DURABILITIES)


def test_evidence_counts_once_for_kinds_that_move_together() -> None:
    group = {kind: group for kind, (_, group, _) in KINDS.items()}
    assert group["template"] == group["system_prompt"] == group["client"] == group["metadata"] == "content"
    assert group["ip"] == group["ip_prefix"] == "network"
    assert len({group[kind] for kind in ("template", "ip", "payment", "device", "phone", "email", "artefact")}) == 7


def test_the_same_trait_seen_in_two_rows_is_held_once() -> None:
    table, names = trait_table(ROWS), [account(number) for number in range(4)]
    once, twice = holdings(table, names), holdings(pa.concat_tables([table, table]), names)
    assert (once.accounts.tolist(), once.held.tolist()) == (twice.accounts.tolist(), twice.held.tolist())
    assert once.degree.tolist() == twice.degree.tolist()
