"""Who says openly that accounts belong together hides no link, and explains no harvest."""

from tests.campaigns.clues import MUCH, NOT_PROVEN, ORDINARY, PROVEN, facts, members, unit

from stillwatch.campaigns.facts import Member
from stillwatch.campaigns.hypotheses.declared_organisation import hypothesis

NAMED = facts(members=members(organization_id="o"))


def test_one_name_for_most_accounts_explains_the_link() -> None:
    assert hypothesis(NAMED, NOT_PROVEN).survives


def test_a_name_does_not_explain_a_proven_harvest() -> None:
    found = hypothesis(NAMED, PROVEN)
    assert not found.survives
    assert found.nearness == 1.0


def test_a_name_explains_a_harvest_of_no_more_than_customers_take_as_far_as_a_check() -> None:
    found = hypothesis(facts(members=members(organization_id="o"), volume=ORDINARY), PROVEN)
    assert found.survives
    assert found.coordinated
    assert not hypothesis(facts(members=members(organization_id="o"), volume=MUCH), PROVEN).survives


def test_many_names_are_no_organisation() -> None:
    assert not hypothesis(facts(members=[Member(f"a{i}", f"o{i}") for i in range(9)]), NOT_PROVEN).survives
    assert not hypothesis(facts(), NOT_PROVEN).survives


def test_it_cannot_excuse_what_runs_through_an_organisation() -> None:
    assert not hypothesis(unit(), NOT_PROVEN).survives
