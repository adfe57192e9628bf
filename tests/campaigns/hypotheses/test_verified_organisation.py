"""That somebody checked an organisation explains the link, and is no immunity."""

from tests.campaigns.clues import NOT_PROVEN, PROVEN, TELLING, facts, members, unit

from stillwatch.campaigns.hypotheses.verified_organisation import hypothesis

BUSINESS = members(organization_id="o", verification_level="business")


def test_one_verified_organisation_explains_what_its_accounts_share() -> None:
    assert hypothesis(facts(members=BUSINESS), PROVEN).survives


def test_prompts_far_from_ordinary_use_are_not_explained_by_a_contract() -> None:
    assert not hypothesis(facts(members=BUSINESS), TELLING).survives


def test_an_organisation_nobody_checked_and_half_an_organisation_are_none() -> None:
    unchecked = facts(members=members(organization_id="o", verification_level="email"))
    assert not hypothesis(unchecked, NOT_PROVEN).survives
    assert not hypothesis(facts(members=BUSINESS[:6] + members(12)[6:]), NOT_PROVEN).survives


def test_where_the_organisation_is_what_is_tested_its_existence_explains_nothing_more() -> None:
    found = hypothesis(unit(), NOT_PROVEN)
    assert not found.survives
    assert "not what they take" in found.because
