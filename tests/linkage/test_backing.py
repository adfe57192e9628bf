"""Small things that lie in one cell far more often than chance back one another; a team's one card backs nothing."""

from importlib import import_module

import numpy as np
import pytest
from tests.linkage.planted import Row, account, found_in, indexed, member_sets, no_starts, trait_table

from stillwatch.linkage import Known, findings, weights
from stillwatch.linkage.backing import FALSE_DISCOVERY_RATE, backed
from stillwatch.linkage.holdings import Ints

ACCOUNTS = 2000
CELL = range(200)  # accounts that send the same wordings
FAMILIES = range(201, 801)  # accounts, three to a device
DEVICES = 20  # of three accounts of the cell each


def families() -> list[Row]:
    """Threes with a device."""
    return [(account(i), "device", f"family-{i // 3}") for i in FAMILIES]


def alone() -> list[Row]:
    """Everybody else has a device of his own."""
    return [(account(i), "device", f"own-{i}") for i in (*CELL, 200, *range(FAMILIES[-1] + 1, ACCOUNTS))]


def public() -> list[Row]:
    """Templates of everybody's, two an account."""
    rng = np.random.default_rng(0)
    return [(account(i), "template", f"public-{t}") for i in range(ACCOUNTS) for t in rng.choice(600, 2, replace=False)]


def wordings(each: int = 2) -> list[Row]:
    """Some templates out of sixteen to each account of the cell."""
    rng = np.random.default_rng(1)
    own = [(account(i), "template", f"cell-{t}") for i in CELL for t in rng.choice(16, each, replace=False)]
    return public() + own


def threes() -> list[Row]:
    """Devices that three accounts of the cell share each."""
    return [(account(i), "device", f"three-{i // 3}") for i in range(3 * DEVICES)]


def cells() -> Ints:
    """The cell of each account."""
    return np.where(np.arange(ACCOUNTS) < len(CELL), 0, -1)


def counting(rows: list[Row], cells: Ints) -> set[str]:
    """Values that count only because a cell backs them."""
    of = indexed(rows, ACCOUNTS)
    before = weights(of)
    after = backed(of, before, cells)
    return {of.values[value] for value in np.flatnonzero(after.valid & ~before.valid)}


def test_devices_of_three_in_one_cell_back_one_another() -> None:
    assert counting(families() + alone() + wordings() + threes(), cells()) == {f"three-{n}" for n in range(DEVICES)}


def test_none_of_them_says_anything_by_itself() -> None:
    of = indexed(families() + alone() + wordings() + threes(), ACCOUNTS)
    assert not weights(of).valid.any()


@pytest.mark.parametrize("holders", [6, 40])
def test_one_card_of_a_team_backs_nothing(holders: int) -> None:
    card = [(account(i), "payment", "team-card") for i in range(holders)]
    assert counting(families() + alone() + wordings() + card, cells()) == set()


def test_two_values_are_too_few_whoever_holds_them() -> None:
    halves = [(account(i), "payment", f"card-{i // 100}") for i in CELL]
    assert counting(families() + alone() + wordings() + halves, cells()) == set()


def test_a_value_that_most_of_its_holders_have_elsewhere_lies_in_no_cell() -> None:
    carrier = [(account(i), "device", "everywhere") for i in (20, 21, *range(FAMILIES[-1] + 1, FAMILIES[-1] + 4))]
    found = counting(families() + alone() + wordings() + threes() + carrier, cells())
    assert found == {f"three-{n}" for n in range(DEVICES)}


def test_a_value_counts_for_the_share_of_its_like_beyond_chance() -> None:
    of = indexed(families() + alone() + wordings() + threes(), ACCOUNTS)
    value = of.values.index("three-0")
    held = of.degree[:, of.group[value]]
    share = held[list(CELL)].sum() / held.sum()
    expected = (len(FAMILIES) / 3 + DEVICES) * share**3  # that all three are in the cell
    beyond = 1 - expected / DEVICES
    assert backed(of, weights(of), cells()).control[value] == pytest.approx(beyond * 3 / 5)  # two who mean nothing


def test_couples_back_nothing_however_many_there_are() -> None:
    couples = [(account(i), "device", f"couple-{i // 2}") for i in CELL]
    assert counting(families() + alone() + wordings() + couples, cells()) == set()


def test_where_families_are_dealt_at_random_hardly_a_cell_backs_anything() -> None:
    rows, rng, hits = families() + alone(), np.random.default_rng(1), 0
    of = indexed(rows, ACCOUNTS)
    before = weights(of)
    for _ in range(200):
        cells = rng.integers(-1, 12, ACCOUNTS)
        hits += int(backed(of, before, cells).valid.any())
    assert hits <= 200 * FALSE_DISCOVERY_RATE * 3


def test_nothing_changes_without_cells() -> None:
    of = indexed(families() + alone() + threes(), ACCOUNTS)
    before = weights(of)
    assert backed(of, before, np.full(ACCOUNTS, -1)) is before


def members(rows: list[Row]) -> list[set[str]]:
    """The accounts of each cluster."""
    of, _, found = found_in(rows, ACCOUNTS)
    return member_sets(of, found)


def test_without_backing_they_are_no_cluster_and_with_it_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = families() + alone() + wordings(3) + threes()
    assert members(rows) == [{account(i) for i in CELL}]
    monkeypatch.setattr(import_module("stillwatch.linkage.clusters"), "backed", lambda of, weighed, cells: weighed)
    assert members(rows) == []


def test_such_a_cluster_is_told_with_its_devices() -> None:
    rows = families() + alone() + wordings(3) + threes()
    of = indexed(rows, ACCOUNTS)
    told = findings(trait_table(rows), (), Known(of.account_ids, (), no_starts(of), fdr=0.01, seed=0))
    evidence = {row["value"] for row in told.evidence.to_pylist() if row["kind"] == "device"}
    assert evidence
    assert evidence <= {f"three-{n}" for n in range(DEVICES)}
