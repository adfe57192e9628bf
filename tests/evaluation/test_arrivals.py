"""When requests arrive."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stillwatch.evaluation.arrivals import BUILT_IN_RHYTHM, ROUND_S, arrivals
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import (
    ALWAYS,
    BATCH,
    DAY_S,
    DEADLINE,
    ROUNDS,
    SESSIONS,
    SHIFTS,
    WAVES,
    Columns,
    Networks,
    Plan,
    ordinary,
)
from stillwatch.evaluation.templates import Library


@pytest.fixture
def people() -> Callable[..., Columns]:
    def made(count: int = 300, **columns: Any) -> Columns:
        plan = Plan(1, 0.01, 14, Networks(1, 0.01), Library(grammar(), with_text=False), 7 * DAY_S)
        drawn = ordinary(plan, stream("people"), count)
        drawn |= {name: np.full(count, value) for name, value in columns.items()}
        return drawn

    return made


def test_accounts_send_at_their_rate_on_average(people: Callable[..., Columns]) -> None:
    steady = people(rate=9.0, from_s=0.0, to_s=14 * DAY_S)
    total = sum(len(arrivals(steady, day, stream("a", day), BUILT_IN_RHYTHM, 1).account) for day in range(14))
    assert total / 300 / 14 == pytest.approx(9.0, rel=0.1)


@pytest.mark.parametrize("timing", [SESSIONS, BATCH, WAVES, SHIFTS, DEADLINE, ROUNDS])
def test_every_request_falls_into_its_day_and_sessions_run_forward(people: Callable[..., Columns], timing: int) -> None:
    came = arrivals(people(rate=30.0, timing=timing), 3, stream("b"), BUILT_IN_RHYTHM, 1)
    assert ((came.at_s >= 3 * DAY_S) & (came.at_s < 4 * DAY_S)).all()
    follows = came.position[1:] > 0
    assert (came.session[1:] == came.session[:-1])[follows].all()
    assert (np.diff(came.at_s)[follows] >= 0).all()


def test_nobody_sends_before_they_start_or_after_they_are_banned(people: Callable[..., Columns]) -> None:
    gone = people(rate=50.0, from_s=5.0 * DAY_S, to_s=6.0 * DAY_S, day_share=1.0)
    sent = [len(arrivals(gone, day, stream("c", day), BUILT_IN_RHYTHM, 1).account) for day in range(14)]
    assert sent[5] > 0
    assert sum(sent) == sent[5]


def test_waves_are_in_lockstep_and_people_are_not(people: Callable[..., Columns]) -> None:
    def busiest(timing: int) -> float:
        drawn = people(rate=20.0, timing=timing, hours=ALWAYS, beat=77, session_mean=1.0)
        came = arrivals(drawn, 2, stream("d"), BUILT_IN_RHYTHM, 1)
        minutes = np.bincount(((came.at_s % DAY_S) // 60).astype(int), minlength=1440)
        return float(np.sort(minutes)[-144:].sum() / minutes.sum())

    assert busiest(WAVES) > 0.75
    assert busiest(SESSIONS) < 0.35


def test_rounds_come_at_an_even_distance_over_all_days_and_waves_do_not(people: Callable[..., Columns]) -> None:
    def evenness(timing: int) -> float:
        """The largest concentration of the starts of sessions on the phase of a period, from 0 to 1."""
        drawn = people(rate=20.0, timing=timing, beat=77, from_s=0.0, to_s=14 * DAY_S)
        came = [arrivals(drawn, day, stream("r", day), BUILT_IN_RHYTHM, 1) for day in (2, 3, 4)]
        start_s = np.concatenate([one.at_s[one.position == 0] for one in came])
        periods_s = np.arange(*ROUND_S, 10.0)
        return float(np.abs(np.exp(2j * np.pi * start_s / periods_s[:, None]).mean(axis=1)).max())

    assert evenness(ROUNDS) > 0.8
    assert evenness(WAVES) < 0.4


def test_shifts_complement_each_other(people: Callable[..., Columns]) -> None:
    came = arrivals(people(rate=20.0, timing=SHIFTS, session_mean=1.0), 2, stream("e"), BUILT_IN_RHYTHM, 1)
    quarter = ((came.at_s % DAY_S) // (DAY_S / 4)).astype(int)
    most = [np.bincount(quarter[came.account == account], minlength=4) for account in np.unique(came.account)]
    own = np.mean([counts.max() / counts.sum() for counts in most if counts.sum() > 5])
    assert own > 0.9
    assert np.bincount(quarter).min() > 0.15 * len(quarter)


def test_a_class_hurries_before_its_deadline(people: Callable[..., Columns]) -> None:
    sheet = people(rate=4.0, timing=DEADLINE, deadline_s=8.5 * DAY_S)
    sent = [len(arrivals(sheet, day, stream("f", day), BUILT_IN_RHYTHM, 1).account) for day in range(14)]
    assert sum(sent[6:9]) > 4 * sum(sent[0:3])
    assert sum(sent[6:9]) > 4 * sum(sent[10:13])
