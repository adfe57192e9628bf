"""Traits on the driver: readable values are hashed, organisations answer for their accounts, texts stand once."""

import pyarrow as pa

from stillwatch.ingest import Key
from stillwatch.shown import NAMED, of_principals, plain, shown

KEY = Key(bytes(range(32)))
Row = tuple[str, str, str]


def table(*rows: Row) -> pa.Table:
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(NAMED)})


def rows(found: pa.Table) -> set[Row]:
    return {(row["account_id"], row["kind"], row["value"]) for row in plain(found).to_pylist()}


def test_readable_values_are_hashed_by_kind_and_no_other_value_is() -> None:
    first = table(("a", "client", "cli/1.0"), ("b", "client", "cli/1.0"), ("a", "ip", "h1"))
    second = table(("b", "email_domain", "cli/1.0"), ("b", "ip", "h1"))
    assert rows(shown([first, second], KEY)) == {
        ("a", "client", KEY.identifier("client", "cli/1.0")),
        ("b", "client", KEY.identifier("client", "cli/1.0")),
        ("b", "email_domain", KEY.identifier("email_domain", "cli/1.0")),
        ("a", "ip", "h1"),
        ("b", "ip", "h1"),
    }


def test_a_readable_value_is_nowhere_any_more() -> None:
    found = shown([table(("a", "client", "cli/1.0"), ("b", "ip", "h1"))], KEY)
    texts = found["value"].chunk(0).dictionary.to_pylist()
    assert sorted(texts) == sorted(["h1", KEY.identifier("client", "cli/1.0")])


def test_accounts_of_an_organisation_become_one_and_those_without_traffic_are_left_out() -> None:
    traits = shown([table(("a", "ip", "x"), ("b", "ip", "y"), ("idle", "ip", "x"), ("c", "ip", "x"))], KEY)
    assert rows(of_principals(traits, {"a": "acme", "b": "acme", "c": "c"})) == {
        ("acme", "ip", "x"),
        ("acme", "ip", "y"),
        ("c", "ip", "x"),
    }


def test_no_traits_are_no_rows() -> None:
    assert of_principals(shown([table()], KEY), {"a": "a"}).num_rows == 0
