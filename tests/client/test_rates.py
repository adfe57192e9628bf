"""Rates: never more than was allowed, soon again what is allowed, and no memory of the quiet."""

import random
from collections import Counter

import pytest

from stillwatch.client import Rates
from stillwatch.client.rates import BURST_S


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("per_minute", [0.5, 1, 7, 60, 600])
def test_no_minute_serves_more_than_the_rate_and_a_burst(per_minute: float) -> None:
    clock, rng = Clock(), random.Random(5)
    rates = Rates(clock=clock)
    served: list[float] = []
    for _ in range(4000):
        clock.now += rng.expovariate(2.0)
        if rates.wait_s("a", per_minute) == 0:
            served.append(clock.now)
    burst = max(1.0, per_minute * BURST_S / 60)
    most = max(sum(start <= at < start + 60 for at in served) for start in served)
    assert most <= per_minute + burst + 1e-9
    whole = served[-1] - served[0]
    offered = 2.0 * 60
    assert len(served) == pytest.approx(min(per_minute, offered) * whole / 60, rel=0.2, abs=2)


def test_whoever_waits_as_long_as_told_is_served_and_not_sooner() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    while (wait := rates.wait_s("a", 30)) == 0:
        pass
    clock.now += wait - 1e-3
    assert rates.wait_s("a", 30) > 0
    clock.now += 2e-3
    assert rates.wait_s("a", 30) == 0


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    while rates.wait_s("a", 6) == 0:
        pass
    waits = {round(rates.wait_s("a", 6), 6) for _ in range(1000)}
    assert len(waits) == 1


def test_accounts_do_not_share_a_rate() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    while rates.wait_s("a", 6) == 0:
        pass
    assert rates.wait_s("b", 6) == 0


def test_processes_share_a_rate() -> None:
    clock = Clock()
    processes = [Rates(processes=4, clock=clock) for _ in range(4)]
    served = 0
    for _ in range(6000):
        clock.now += 0.1
        served += sum(rates.wait_s("a", 60) == 0 for rates in processes)
    assert served == pytest.approx(600, rel=0.05)


def test_memory_is_bounded_and_the_newest_are_remembered() -> None:
    clock = Clock()
    rates = Rates(max_accounts=1000, clock=clock)
    for number in range(20_000):
        assert rates.wait_s(f"account-{number}", 6) == 0
        assert len(rates) <= 1000
    assert rates.wait_s("account-19999", 6) > 0


def test_the_quiet_are_forgotten_before_the_busy() -> None:
    clock = Clock()
    rates = Rates(max_accounts=100, clock=clock)
    for number in range(99):
        rates.wait_s(f"quiet-{number}", 600)
    clock.now += 60
    for _ in range(2):
        rates.wait_s("busy", 6)
    rates.wait_s("new", 6)
    outcomes = Counter(rates.wait_s("busy", 6) > 0 for _ in range(3))
    assert outcomes == {True: 3}
    assert len(rates) == 2


@pytest.mark.parametrize("now", [0.0, 0.1, 12345.678, 31850.123456789, 1e7 / 3, 4e8 / 7])
@pytest.mark.parametrize("per_minute", [0.01, 0.3, 1, 3, 7, 59])
def test_a_first_request_is_served_however_times_are_rounded(now: float, per_minute: float) -> None:
    clock = Clock()
    clock.now = now
    assert Rates(clock=clock).wait_s("a", per_minute) == 0
