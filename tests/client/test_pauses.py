"""Attempts come at random moments that lie ever further apart, and when the service says so."""

import threading
import time
from typing import Any

import pytest

from stillwatch.client.following import FIRST_PAUSE_S, Following
from stillwatch.client.source import UnavailableError


class Away:
    """A service that cannot be reached, or says when to come back."""

    date = ""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def snapshot(self, _version: str | None) -> Any:
        raise self.error


class Pauses(threading.Event):
    """Passes the time at once, and remembers it."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.most = most

    def wait(self, timeout: float | None = None) -> bool:
        self.seen.append(timeout or 0.0)
        if len(self.seen) == self.most:
            self.set()
        return self.is_set()


def pauses(error: Exception, most: int, refresh_s: float = 30.0) -> list[float]:
    following = Following(None, refresh_s=refresh_s, wall=time.time, monotonic=time.monotonic)
    paused = Pauses(most)
    following.run(Away(error), paused, threading.Event())  # type: ignore[arg-type]  # the part of a source that is used
    assert following.failures == most
    return paused.seen


def test_pauses_double_up_to_the_longest_and_are_drawn_at_random() -> None:
    several = [pauses(ConnectionRefusedError(), 12) for _ in range(20)]
    for seen in several:
        for number, pause in enumerate(seen):
            longest = min(FIRST_PAUSE_S * 2 ** (number + 1), 30.0)
            assert longest / 10 <= pause <= longest
    assert len({seen[0] for seen in several}) == 20
    assert max(seen[-1] for seen in several) > 20.0


def test_a_service_that_asks_for_time_is_given_it_within_reason() -> None:
    assert min(pauses(UnavailableError(503, 120.0), 5)) == 120.0
    assert max(pauses(UnavailableError(503, 86400.0), 5)) == 300.0


@pytest.mark.parametrize("error", [KeyError("version"), RuntimeError("planted"), ValueError("planted")])
def test_whatever_the_service_sends_the_thread_goes_on(error: Exception) -> None:
    assert len(pauses(error, 3)) == 3
