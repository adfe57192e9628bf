"""Many accounts of one person are no harvest by themselves."""

from tests.campaigns.clues import NOT_PROVEN, NOT_TESTED, PROVEN, facts

from stillwatch.campaigns.hypotheses.multiple_accounts import hypothesis


def test_common_control_without_harvest_is_many_accounts_and_stays_common_control() -> None:
    found = hypothesis(facts(), NOT_PROVEN)
    assert (found.survives, found.coordinated) == (True, True)


def test_a_proven_harvest_is_more_than_that() -> None:
    assert not hypothesis(facts(), PROVEN).survives


def test_an_untested_harvest_says_nothing_either_way() -> None:
    found = hypothesis(facts(), NOT_TESTED)
    assert (found.survives, found.tested) == (False, False)
    assert found.because.startswith("starved: ")
