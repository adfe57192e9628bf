"""Grading with a public rubric is common; a reward model behind one card is something else."""

from tests.campaigns.clues import CONTENT, NETWORK, PROVEN, bearing, facts, intents, tie

from stillwatch.campaigns.facts import GroupLink
from stillwatch.campaigns.hypotheses.judge_user import hypothesis

GRADES = bearing(intents=intents(rubric_grading=4800))


def test_strangers_who_do_nothing_but_grade_are_explained() -> None:
    assert hypothesis(facts(bearing=GRADES, links=[CONTENT, NETWORK]), PROVEN).survives


def test_asking_for_other_things_is_not_judging() -> None:
    assert not hypothesis(facts(links=[CONTENT, NETWORK]), PROVEN).survives
    mixed = bearing(intents=intents(rubric_grading=2000, task_generation=3000))
    assert not hypothesis(facts(bearing=mixed, links=[CONTENT]), PROVEN).survives


def test_graders_on_shared_cards_and_devices_are_not_independent() -> None:
    case = facts(bearing=GRADES, links=[CONTENT, tie("payment"), tie("device")])
    found = hypothesis(case, PROVEN)
    assert not found.survives
    assert "device or payment" in found.because


def test_strangers_do_not_begin_together() -> None:
    found = hypothesis(facts(bearing=GRADES, links=[CONTENT, NETWORK, tie("timing")]), PROVEN)
    assert not found.survives
    assert "the minutes at which they begin" in found.because
    few = GroupLink("timing", 1, 0.5, 12, 1e-9)
    assert hypothesis(facts(bearing=GRADES, links=[CONTENT, few]), PROVEN).survives
