"""Who moves here comes at full rate in one day, and stays."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.campaigns.clues import PROVEN, facts, members, outcome, unit

from stillwatch.campaigns import Facts
from stillwatch.campaigns.hypotheses.migration import hypothesis

CAME_AT = datetime(2026, 1, 5, tzinfo=UTC)


RARE = outcome("proven", elicitation=3.0)  # as in one ordinary customer of eight


def moved(exchanges: list[int], opened_before_days: int = 2, **columns: str) -> Facts:
    opened_at = CAME_AT - timedelta(days=opened_before_days)
    days = [(date(2026, 1, 5) + timedelta(days=n), count, 12) for n, count in enumerate(exchanges)]
    owner = {"organization_id": "o", **columns}
    return facts(members=members(created_at=opened_at, **owner), first_seen_at=CAME_AT, timeline=days)


STEADY = [480, 510, 500, 470, 530, 490]


def test_one_owner_at_full_rate_from_the_first_day_has_moved_here() -> None:
    assert hypothesis(moved(STEADY), PROVEN).survives


def test_moving_here_explains_no_wordings_of_a_campaign_outside() -> None:
    case = replace(moved(STEADY), declared=unit().declared)
    assert not hypothesis(case, PROVEN).survives


def test_prompts_far_from_ordinary_use_are_not_explained_by_moving() -> None:
    assert not hypothesis(moved(STEADY), RARE).survives


@pytest.mark.parametrize(
    "case",
    [
        facts(),
        moved(STEADY, opened_before_days=90),
        moved([10, 20, 60, 200, 400, 800]),
        moved([500, 10, 10, 2000, 10, 10]),
        moved([500, 480]),
    ],
    ids=["no owner", "old accounts", "a ramp", "bursts", "too short to tell"],
)
def test_others_have_not_moved(case: Facts) -> None:
    assert not hypothesis(case, PROVEN).survives
