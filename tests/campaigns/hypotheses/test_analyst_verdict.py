"""A person looked and found most members innocent."""

from tests.campaigns.clues import PROVEN, facts

from stillwatch.campaigns.hypotheses.analyst_verdict import hypothesis


def test_members_whom_a_person_cleared_are_explained() -> None:
    assert hypothesis(facts(pardoned=True), PROVEN).survives


def test_without_a_verdict_nothing_is_explained() -> None:
    assert not hypothesis(facts(), PROVEN).survives
