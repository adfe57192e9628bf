"""Stops and displacement: who fell silent together, who began after it, and how much came back."""

from datetime import UTC, datetime, timedelta

import pytest

from stillwatch.campaigns.displacement import displacement
from stillwatch.campaigns.known import Known, Span
from stillwatch.campaigns.stops import beginning, begun_after, stop

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=20)


def span(first_day: float, last_day: float, exchanges: int = 100) -> Span:
    return Span(exchanges, START + timedelta(days=first_day), START + timedelta(days=last_day))


def pool(name: str, count: int, first_day: float, last_day: float, exchanges: int = 100) -> dict[str, Span]:
    return {f"{name}{number:02}": span(first_day, last_day, exchanges) for number in range(count)}


def campaign(name: str, accounts: dict[str, Span]) -> Known:
    return Known(name, "distillation", accounts)


def test_the_three_days_in_which_most_accounts_fell_silent_are_the_stop() -> None:
    accounts = pool("early", 2, 0, 3) | pool("banned", 10, 0, 9.5) | pool("resting", 5, 0, 8) | pool("on", 3, 0, 20)
    found = stop(accounts, END)
    assert found is not None
    assert set(found.accounts) == set(pool("banned", 10, 0, 0)) | set(pool("resting", 5, 0, 0))
    assert found.at == START + timedelta(days=9.5)
    assert found.share == pytest.approx(15 / 20)


def test_one_busy_account_that_goes_on_hides_no_stop() -> None:
    found = stop(pool("banned", 10, 0, 9) | {"busy": span(0, 20, 10**6)}, END)
    assert found is not None
    assert found.share == pytest.approx(10 / 11)


def test_silence_on_the_last_day_may_be_a_pause() -> None:
    assert stop(pool("a", 10, 0, 19.5), END) is None
    assert stop({}, END) is None


def test_accounts_that_began_after_the_stop_do_not_dilute_it() -> None:
    found = stop(pool("banned", 4, 0, 9) | pool("new", 40, 10, 20), END)
    assert found is not None
    assert found.share == 1.0


def test_only_accounts_that_began_around_the_stop_take_over() -> None:
    at = START + timedelta(days=5)
    accounts = {"old": span(0, 20), "warm": span(4.5, 20), "next": span(5.2, 20), "late": span(19.5, 20)}
    assert set(begun_after(at, accounts, but=["next"])) == {"warm"}


def test_one_straggler_does_not_date_a_beginning() -> None:
    assert beginning({"first": span(1, 9)} | pool("rest", 30, 6, 9)) == START + timedelta(days=6)


def test_displacement_says_who_took_over_how_soon_and_how_much_came_back() -> None:
    old = campaign("c-old", pool("old", 10, 0, 10, exchanges=200) | {"stolen": span(0, 20)})
    new = campaign("c-new", pool("new", 8, 10.25, 20, exchanges=100) | {"stolen": span(0, 20)})
    found = displacement(old, new, END)
    assert found is not None
    days_before, days_after = 10 + 1 / 24, 9.75 + 1 / 24
    assert found == {
        "from_campaign_id": "c-old",
        "stopped_at": (START + timedelta(days=10)).isoformat(),
        "accounts_stopped": 10,
        "accounts_that_took_over": 8,
        "delay_hours": 6.0,
        "regained_share": pytest.approx((800 / days_after) / (2000 / days_before), abs=1e-6),
    }


def test_a_campaign_that_replaces_its_own_accounts_is_displaced_from_itself() -> None:
    both = campaign("c-1", pool("old", 10, 0, 10) | pool("new", 10, 10.1, 20))
    found = displacement(both, both, END)
    assert found is not None
    assert (found["from_campaign_id"], found["accounts_stopped"], found["accounts_that_took_over"]) == ("c-1", 10, 10)


def test_volume_is_not_compared_before_a_day_has_passed() -> None:
    old, new = campaign("c-old", pool("old", 10, 0, 18.5)), campaign("c-new", pool("new", 8, 19.5, 20))
    found = displacement(old, new, END)
    assert found is not None
    assert found["regained_share"] is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pool("a", 2, 0, 10) | pool("b", 10, 0, 20), pool("new", 8, 11, 20)),  # turnover
        (pool("a", 10, 0, 10), pool("new", 2, 11, 20)),  # nobody to speak of began
        (pool("a", 10, 0, 10), pool("new", 10, 0, 20)),  # they were there all along
        (pool("a", 2, 0, 10), pool("new", 8, 11, 20)),  # too few stopped
    ],
    ids=["turnover", "no takers", "there before", "few"],
)
def test_what_is_no_replacement_is_no_displacement(old: dict[str, Span], new: dict[str, Span]) -> None:
    assert displacement(campaign("c-old", old), campaign("c-new", new), END) is None
