"""Machines repeat themselves; a sweep never does."""

from tests.campaigns.clues import NOT_TESTED, PROVEN, bearing, facts

from stillwatch.campaigns.hypotheses.ci_fleet import hypothesis


def test_machines_that_send_the_same_items_again_are_explained() -> None:
    found = hypothesis(facts(bearing=bearing(repeated_exchanges=4000)), PROVEN)
    assert found.survives
    assert "80% of the exchanges repeat" in found.because


def test_a_sweep_is_not() -> None:
    found = hypothesis(facts(), PROVEN)
    assert not found.survives
    assert found.nearness == 20 / 5000 / 0.5


def test_nothing_in_common_leaves_nothing_to_repeat() -> None:
    assert not hypothesis(facts(bearing=bearing(exchanges=0, repeated_exchanges=0)), NOT_TESTED).survives
