"""A handful of accounts on one card is one customer."""

from tests.campaigns.clues import PROVEN, facts, members, shared

from stillwatch.campaigns.hypotheses.small_team import hypothesis


def test_a_card_that_pays_for_half_of_a_few_accounts_makes_a_team() -> None:
    assert hypothesis(facts(evidence=[shared("payment", 6)]), PROVEN).survives


def test_more_accounts_or_more_cards_are_no_team() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(evidence=[shared("payment", 5)]), PROVEN).survives
    crowd = hypothesis(facts(members=members(13), evidence=[shared("payment", 13)]), PROVEN)
    assert not crowd.survives
    assert crowd.nearness == 12 / 13
