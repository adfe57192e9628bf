"""A class has one sheet and one deadline."""

import pytest
from tests.campaigns.clues import NOT_PROVEN, NOT_TESTED, PROVEN, bearing, facts, members

from stillwatch.campaigns import Facts, TestResult
from stillwatch.campaigns.hypotheses.class_assignment import hypothesis

STUDENTS = members(access_program="education")
SAME_ITEMS = bearing(copies=5000 * 11)


def test_students_with_the_same_questions_are_a_class() -> None:
    assert hypothesis(facts(members=STUDENTS, bearing=SAME_ITEMS), NOT_PROVEN).survives


def test_without_prompts_a_deadline_is_enough() -> None:
    case = facts(members=STUDENTS, bearing=bearing(exchanges=0), busiest_days_share=0.7)
    assert hypothesis(case, NOT_TESTED).survives


@pytest.mark.parametrize(
    ("case", "harvest"),
    [
        (facts(bearing=SAME_ITEMS), NOT_PROVEN),
        (facts(members=STUDENTS), NOT_PROVEN),
        (facts(members=STUDENTS, bearing=SAME_ITEMS), PROVEN),
        (facts(members=STUDENTS, bearing=bearing(exchanges=0)), NOT_TESTED),
    ],
    ids=["no students", "other questions for each", "a proven harvest", "no deadline"],
)
def test_others_are_no_class(case: Facts, harvest: TestResult) -> None:
    assert not hypothesis(case, harvest).survives
