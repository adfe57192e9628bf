"""A class has one sheet and one deadline."""

import pytest
from tests.campaigns.clues import CONTENT, NETWORK, NOT_PROVEN, NOT_TESTED, PROVEN, bearing, facts, members, tie

from stillwatch.campaigns import Facts, TestResult
from stillwatch.campaigns.hypotheses.class_assignment import hypothesis

STUDENTS = members(access_program="education")
SAME_ITEMS = bearing(copies=5000 * 11)
NOTHING = bearing(exchanges=0)


def test_students_with_the_same_questions_are_a_class() -> None:
    assert hypothesis(facts(members=STUDENTS, bearing=SAME_ITEMS), NOT_PROVEN).survives


def test_without_prompts_a_deadline_is_enough() -> None:
    case = facts(members=STUDENTS, bearing=NOTHING, busiest_days_share=0.7, has_prompts=False)
    assert hypothesis(case, NOT_TESTED).survives


def test_students_of_one_campus_who_send_nothing_in_common_are_no_campaign() -> None:
    assert hypothesis(facts(members=STUDENTS, bearing=NOTHING), NOT_TESTED).survives


@pytest.mark.parametrize(
    ("case", "harvest"),
    [
        (facts(bearing=SAME_ITEMS), NOT_PROVEN),
        (facts(members=STUDENTS), NOT_PROVEN),
        (facts(members=STUDENTS, bearing=SAME_ITEMS), PROVEN),
        (facts(members=STUDENTS, bearing=NOTHING, has_prompts=False), NOT_TESTED),
        (facts(members=STUDENTS, bearing=NOTHING, links=[CONTENT, NETWORK, tie("payment")]), NOT_TESTED),
    ],
    ids=["no students", "other questions for each", "a proven harvest", "no deadline", "cards in common"],
)
def test_others_are_no_class(case: Facts, harvest: TestResult) -> None:
    assert not hypothesis(case, harvest).survives
