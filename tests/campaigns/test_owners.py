"""Owners hang together by what costs something or by a name, however the accounts are ordered."""

from itertools import permutations

import pyarrow as pa
from tests.campaigns.clues import facts

from stillwatch.campaigns import Member, owned
from stillwatch.campaigns.facts import Owner
from stillwatch.campaigns.owners import OWNED_KINDS, with_owners

CHAIN = [("a", "payment", "1"), ("b", "payment", "1"), ("b", "device", "1"), ("c", "device", "1")]
TEAM = [Member("a"), Member("b"), Member("c"), Member("d", "o"), Member("e", "o"), Member("f")]


def traits(rows: list[tuple[str, str, str]]) -> pa.Table:
    return pa.table(dict(zip(("account_id", "kind", "value"), map(list, zip(*rows, strict=True)), strict=True)))


def owners(members: list[Member], rows: list[tuple[str, str, str]]) -> list[Owner]:
    (found,) = with_owners([facts(members=members)], traits(rows))
    return list(found.owners)


def test_cards_and_devices_chain_accounts_and_a_name_joins_others() -> None:
    for members in permutations(TEAM, len(TEAM)):
        assert owners(list(members), CHAIN) == [Owner(3, 0), Owner(2, 2)]


def test_a_card_of_the_same_number_as_a_device_is_another_thing() -> None:
    assert owners(TEAM[:2], [("a", "payment", "1"), ("b", "device", "1")]) == []


def test_of_two_names_the_commoner_counts() -> None:
    members = [Member("a", "o"), Member("b", "o"), Member("c", "p"), Member("d")]
    rows = [(one.account_id, "payment", "1") for one in members]
    assert owners(members, rows) == [Owner(4, 2)]


def test_only_what_costs_something_is_read_and_only_of_members() -> None:
    rows = [*CHAIN, ("a", "ip", "1"), ("b", "template", "1"), ("x", "payment", "1")]
    kept = owned(traits(rows), pa.array(["a", "b"]))
    assert set(kept["kind"].to_pylist()) == {"payment", "device"} <= set(OWNED_KINDS)
    assert set(kept["account_id"].to_pylist()) == {"a", "b"}
