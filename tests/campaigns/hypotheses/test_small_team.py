"""A handful of accounts on one card is one customer, unless they hide it and ask for more than a product does."""

from tests.campaigns.clues import PROVEN, bearing, facts, intents, members, shared

from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.hypotheses.small_team import hypothesis

HALF = [shared("payment", 6)]
TWO_THINGS = bearing(intents=intents(rubric_grading=2500, trace_cleaning=500, expert_persona=5000))


def test_a_card_that_pays_for_half_of_a_few_accounts_makes_a_team_with_one_product() -> None:
    assert hypothesis(facts(evidence=HALF), PROVEN).survives
    assert hypothesis(facts(evidence=HALF, bearing=Usage()), PROVEN).survives, "nothing is known of what they ask for"


def test_a_card_for_half_of_accounts_that_ask_for_two_rare_things_and_name_nobody_is_no_team() -> None:
    fallen = hypothesis(facts(evidence=HALF, bearing=TWO_THINGS), PROVEN)
    assert not fallen.survives
    assert fallen.because.endswith("a product asks for less than rubric grading and trace cleaning")
    seldom = bearing(intents=intents(rubric_grading=2500, trace_cleaning=499))
    assert hypothesis(facts(evidence=HALF, bearing=seldom), PROVEN).survives, "a tenth of the exchanges must ask for it"


def test_whoever_names_one_organisation_or_pays_for_nearly_all_hides_nothing() -> None:
    named, unnamed = members(6, organization_id="o"), members(12)[6:]
    hidden = [*named[1:], *unnamed, *members(1)]
    assert hypothesis(facts(members=[*named, *unnamed], evidence=HALF, bearing=TWO_THINGS), PROVEN).survives
    assert not hypothesis(facts(members=hidden, evidence=HALF, bearing=TWO_THINGS), PROVEN).survives
    assert hypothesis(facts(evidence=[shared("payment", 10)], bearing=TWO_THINGS), PROVEN).survives
    assert not hypothesis(facts(evidence=[shared("payment", 9)], bearing=TWO_THINGS), PROVEN).survives


def test_more_accounts_or_more_cards_are_no_team() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(evidence=[shared("payment", 5)]), PROVEN).survives
    crowd = hypothesis(facts(members=members(13), evidence=[shared("payment", 13)]), PROVEN)
    assert not crowd.survives
    assert crowd.nearness == 12 / 13
