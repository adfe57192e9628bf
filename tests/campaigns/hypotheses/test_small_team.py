"""A handful of accounts on one card is one customer, when it is openly so."""

from tests.campaigns.clues import PROVEN, facts, members, shared

from stillwatch.campaigns.hypotheses.small_team import hypothesis


def test_a_card_that_pays_for_nearly_all_of_a_few_accounts_makes_a_team() -> None:
    assert hypothesis(facts(evidence=[shared("payment", 10)]), PROVEN).survives
    assert not hypothesis(facts(evidence=[shared("payment", 9)]), PROVEN).survives


def test_a_card_for_half_makes_a_team_when_as_many_name_one_organisation() -> None:
    half, named, unnamed = [shared("payment", 6)], members(6, organization_id="o"), members(12)[6:]
    assert hypothesis(facts(members=[*named, *unnamed], evidence=half), PROVEN).survives
    assert not hypothesis(facts(members=[*named[1:], *unnamed, *members(1)], evidence=half), PROVEN).survives


def test_a_card_for_half_of_accounts_that_name_nobody_is_no_team() -> None:
    fallen = hypothesis(facts(evidence=[shared("payment", 6)]), PROVEN)
    assert not fallen.survives
    assert fallen.because.endswith("and at most 0% name the same organisation")


def test_more_accounts_or_more_cards_are_no_team() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(evidence=[shared("payment", 5)]), PROVEN).survives
    crowd = hypothesis(facts(members=members(13), evidence=[shared("payment", 13)]), PROVEN)
    assert not crowd.survives
    assert crowd.nearness == 12 / 13
