"""Colleagues share an address, cards and a job, and sleep; and no place of work explains what else is taken."""

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
    bearing,
    facts,
    intents,
    members,
    tie,
)

from stillwatch.campaigns import Facts, TestResult
from stillwatch.campaigns.coordination import Measure
from stillwatch.campaigns.facts import Owner, Places
from stillwatch.campaigns.hypotheses.workplace import NIGHT_SHARE, hypothesis
from stillwatch.campaigns.volume import Volume

FREE = members(access_program="free")
MARKS = intents(rubric_grading=2500, pairwise_judging=2000, task_generation=500, step_by_step=4000)


def firm(**changes: object) -> Facts:
    """Twelve freelancers, ten of them in one room; cards and laptops of the firm go round among some."""
    usual = {
        "members": [*members(8, access_program="paid"), *members(4, access_program="free")],
        "links": [CONTENT, NETWORK, tie("payment"), tie("device"), tie("registration"), tie("timing")],
        "owners": [Owner(6, 0), Owner(2, 0)],
        "places": Places(settled=10, night_share=0.1),
        "volume": ORDINARY,
        "bearing": bearing(intents=MARKS),
    }
    return facts(**{**usual, **changes})


def proven(tokens: float, ordinary: float) -> TestResult:
    """A proven harvest with answers of this mean length among such ordinary ones."""
    return replace(PROVEN, measures=(*PROVEN.measures, Measure("output length", tokens, ordinary, 0.5, "as stated")))


def test_colleagues_at_one_place_are_explained_while_no_harvest_is_proven() -> None:
    for harvest in (NOT_PROVEN, NOT_TESTED):
        found = hypothesis(firm(), harvest)
        assert found.survives
        assert not found.coordinated
    assert "83% of the accounts call from one place" in found.because


def test_of_a_proven_harvest_that_is_short_verdicts_a_check_is_left() -> None:
    assert hypothesis(firm(), proven(10.3, 10.0)).survives, "a verdict with its grounds is as long as other answers"
    found = hypothesis(firm(), proven(9.0, 10.0))
    assert found.survives
    assert found.coordinated, "no log tells for whom they mark"
    assert "as of an agency" in found.because


def test_whether_several_people_are_behind_it_does_not_matter_to_what_a_harvest_is_for() -> None:
    for one_hand in (firm(owners=[Owner(12, 0)]), firm(members=FREE)):
        assert hypothesis(one_hand, proven(9.0, 10.0)).survives
        assert not hypothesis(one_hand, NOT_PROVEN).survives


OTHER_HARVESTS = pytest.mark.parametrize(
    ("asked", "harvest", "because"),
    [
        (MARKS, proven(10.5, 10.0), "so much longer than those of ordinary customers"),
        (MARKS, PROVEN, "so much longer than those of ordinary customers"),
        (intents(forced_trace_tags=4500), proven(9.0, 10.0), "no verdict"),
        (intents(rubric_grading=900, trace_cleaning=1000), proven(9.0, 10.0), "verdict"),
    ],
    ids=["long answers", "length unknown", "reasoning", "more traces than verdicts"],
)


@OTHER_HARVESTS
def test_where_most_call_from_elsewhere_a_place_of_work_explains_nothing_else_that_is_harvested(
    asked: tuple[int, ...], harvest: TestResult, because: str
) -> None:
    place = Places(settled=5, night_share=0.1)
    found = hypothesis(firm(bearing=bearing(intents=asked), places=place, links=[CONTENT]), harvest)
    assert not found.survives
    assert "fewer than two in three call from it" in found.because
    assert because in found.because


@OTHER_HARVESTS
def test_where_most_call_from_one_place_a_check_is_left_of_whatever_is_harvested(
    asked: tuple[int, ...], harvest: TestResult, because: str
) -> None:
    asked_for = bearing(intents=asked)
    found = hypothesis(firm(bearing=asked_for), harvest)
    assert found.survives
    assert found.coordinated, "whoever has a server can fake a place"
    assert "can say who it is" in found.because
    for one_hand in (firm(bearing=asked_for, owners=[Owner(12, 0)]), firm(bearing=asked_for, members=FREE)):
        refused = hypothesis(one_hand, harvest)
        assert not refused.survives
        assert because in refused.because
    much = hypothesis(firm(bearing=asked_for, volume=MUCH), harvest)
    assert not much.survives
    assert "5.0 times" in much.because


def test_people_at_work_may_take_more_than_customers_at_large() -> None:
    busy = Volume("proven", 1e-3, 10.0, 4.0, "together they take 4.0 times what others do")
    assert hypothesis(firm(volume=busy), NOT_PROVEN).survives
    assert hypothesis(firm(volume=busy), PROVEN).coordinated
    for times, is_usual in ((1.8, True), (2.9, True), (3.0, False)):
        sure = Volume("proven" if times >= 2 else "not_proven", 1e-9, 30.0, times, f"they take {times} times as much")
        assert hypothesis(firm(volume=sure), NOT_PROVEN).survives == is_usual, "however sure, it has to be much"


@pytest.mark.parametrize(
    ("case", "because"),
    [
        (firm(places=Places(settled=3, night_share=0.1)), "25% of the accounts call from one place"),
        (firm(links=[CONTENT, replace(NETWORK, linked=12)]), "2 more share addresses elsewhere"),
        (firm(links=[CONTENT, NETWORK, tie("crossing")]), "do not share crossing"),
        (firm(links=[CONTENT, NETWORK, tie("artefact")]), "do not share artefact"),
        (firm(places=Places(settled=10, night_share=NIGHT_SHARE + 0.05)), "30% of the time at work"),
        (firm(places=Places(settled=10)), "is not known"),
        (firm(owners=[Owner(9, 0)]), "9 of them into one hand"),
        (firm(members=FREE), "100% of them are on free credit"),
        (firm(volume=MUCH), "5.0 times"),
        (firm(volume=Volume()), "was not compared"),
    ],
    ids=[
        "most from anywhere",
        "changing exits",
        "what joins wordings",
        "replayed reasoning",
        "round the clock",
        "hours unknown",
        "one card",
        "free credit",
        "more than people take",
        "volume unknown",
    ],
)
def test_others_are_no_colleagues(case: Facts, because: str) -> None:
    found = hypothesis(case, NOT_PROVEN)
    assert not found.survives
    assert because in found.because


def test_what_passes_nearly_is_shown_as_near() -> None:
    assert hypothesis(firm(places=Places(settled=2)), NOT_PROVEN).nearness == 0.5
