"""Firms that show themselves and use one prompt are several customers, not one hand."""

from dataclasses import replace

import pytest
from tests.campaigns.clues import (
    CONTENT,
    MUCH,
    NETWORK,
    NOT_PROVEN,
    NOT_TESTED,
    ORDINARY,
    PROVEN,
    facts,
    members,
    tie,
)

from stillwatch.campaigns import Facts, TestResult
from stillwatch.campaigns.facts import Owner
from stillwatch.campaigns.hypotheses.several_owners import hypothesis
from stillwatch.campaigns.hypotheses.small_team import MAX_ACCOUNTS

NAMED, HIDDEN = Owner(6, 6), Owner(4, 0)
CARDS = [CONTENT, tie("payment")]


def two(*owners: Owner, **changes: object) -> Facts:
    return facts(links=CARDS, owners=owners or (NAMED, HIDDEN), **changes)


def test_two_firms_on_one_prompt_are_two_customers() -> None:
    found = hypothesis(two(), NOT_PROVEN)
    assert found.survives
    assert found.because.startswith("2 owners, in plain sight")
    assert hypothesis(two(), NOT_TESTED).survives
    assert not found.coordinated, "they are under no common control"


def test_a_firm_of_any_size_may_give_its_name_and_a_few_need_not() -> None:
    assert hypothesis(two(Owner(50, 40), HIDDEN), NOT_PROVEN).survives
    assert hypothesis(two(NAMED, Owner(MAX_ACCOUNTS, 0)), NOT_PROVEN).survives


def test_of_a_harvest_that_takes_no_more_than_customers_do_names_deny_that_anybody_hides() -> None:
    found = hypothesis(two(volume=ORDINARY), PROVEN)
    assert found.survives
    assert found.coordinated, "one hand may be behind them all the same"
    assert found.because.startswith("50% of the accounts are of owners who give a name")
    sharing = facts(links=[*CARDS, tie("registration")], owners=[NAMED, HIDDEN], volume=ORDINARY)
    assert hypothesis(sharing, PROVEN).coordinated


def naming(*organisations: str | None, **changes: object) -> Facts:
    """All of one shop's cards, so that no owner gives a name; each member names one of the organisations or none."""
    named = [replace(one, organization_id=name) for one, name in zip(members(), organisations, strict=True)]
    return facts(links=CARDS, owners=[Owner(12, 3)], members=named, **{"volume": ORDINARY, **changes})


SIX_NAME_TWO = ("north", "north", "north", "south", "south", "south", *[None] * 6)


def test_names_deny_that_anybody_hides_though_all_buy_in_one_shop() -> None:
    found = hypothesis(naming(*SIX_NAME_TWO), PROVEN)
    assert found.survives
    assert found.coordinated
    assert found.because.startswith("50% of the accounts are of owners who give a name")
    assert not hypothesis(naming(*SIX_NAME_TWO), NOT_PROVEN).survives, "one shop is one owner where nothing is charged"
    assert not hypothesis(naming(*SIX_NAME_TWO, volume=MUCH), PROVEN).survives
    five = ("north", "north", "north", "south", "south", "alone", *[None] * 6)
    assert not hypothesis(naming(*five), PROVEN).survives, "a name that nobody shares can be anybody's invention"


@pytest.mark.parametrize(
    ("case", "harvest"),
    [
        (two(NAMED), NOT_PROVEN),
        (facts(links=CARDS), NOT_PROVEN),
        (two(NAMED, Owner(MAX_ACCOUNTS + 1, 10)), NOT_PROVEN),
        (two(Owner(5, 5), HIDDEN), NOT_PROVEN),
        (two(Owner(8, 6), HIDDEN), NOT_PROVEN),
        (facts(links=[*CARDS, NETWORK], owners=[NAMED, HIDDEN]), NOT_PROVEN),
        (facts(links=[*CARDS, tie("crossing")], owners=[NAMED, HIDDEN]), NOT_PROVEN),
        (two(), PROVEN),
        (two(volume=MUCH), PROVEN),
        (two(Owner(5, 5), HIDDEN, volume=ORDINARY), PROVEN),
    ],
    ids=[
        "one firm",
        "nobody shows himself",
        "many who give no name",
        "most give no name",
        "some give another name",
        "the same exits",
        "cards and exits across",
        "a proven harvest of who knows how much",
        "a proven harvest of much",
        "a proven harvest of many who give no name",
    ],
)
def test_others_are_one_hand(case: Facts, harvest: TestResult) -> None:
    assert not hypothesis(case, harvest).survives
