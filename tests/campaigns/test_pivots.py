"""Pivots: a jump within a day is found, a drift over weeks is not."""

from datetime import date, timedelta

import pytest

from stillwatch.campaigns.pivots import MIN_EXCHANGES, pivots

START = date(2026, 1, 1)


def days(new_shares: list[float], exchanges: int = 100) -> list[tuple[date, str, int]]:
    """Days on which the new model has the shares given and the old one the rest."""
    rows = []
    for i, share in enumerate(new_shares):
        day, new = START + timedelta(days=i), round(exchanges * share)
        rows += [(day, "new", new), (day, "old", exchanges - new)]
    return rows


def test_a_jump_within_a_day_is_found_on_its_day() -> None:
    (found,) = pivots(days([0.0] * 6 + [0.5] * 6))
    assert (found.model, found.at) == ("new", START + timedelta(days=6))
    assert (found.share_before, found.share_after) == (0.0, 0.5)


def test_a_slow_drift_is_no_pivot() -> None:
    assert pivots(days([i / 30 for i in range(31)])) == []


def test_steady_traffic_has_no_pivot() -> None:
    assert pivots(days([0.4] * 10)) == []


def test_too_little_traffic_says_nothing() -> None:
    assert pivots(days([0.0, 0.0, 1.0, 1.0], exchanges=MIN_EXCHANGES // 2 - 1)) == []


@pytest.mark.parametrize("rows", [[], days([1.0])])
def test_no_days_or_a_single_day_have_no_pivot(rows: list[tuple[date, str, int]]) -> None:
    assert pivots(rows) == []


def test_the_order_of_the_days_does_not_matter() -> None:
    rows = days([0.0] * 4 + [0.8] * 4)
    assert pivots(rows[::-1]) == pivots(rows) != []


def test_rows_of_one_day_and_model_are_added_up() -> None:
    rows = days([0.0] * 4 + [0.8] * 4)
    halves = [(day, model, n // 2) for day, model, n in rows] * 2
    assert pivots(halves) == pivots(rows)
