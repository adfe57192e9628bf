"""A decision ends when the service's clock says so, whatever the gateway's own clock does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.client.conftest import becomes
from tests.client.peer import Peer, row

from stillwatch.client import NONE, Client

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR_S = 365 * 86400.0
Start = Callable[..., Client]


class Clocks:
    """A wall clock that can be set, and a monotonic one that only goes on."""

    def __init__(self, wall: datetime = NOON) -> None:
        self.wall_s, self.monotonic_s = wall.timestamp(), 1000.0

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def hour(peer: Peer) -> Peer:
    """A service at noon, with a decision until one o'clock."""
    peer.served_at_s = NOON.timestamp()
    peer.decide(row("a", "suspend", expires_at=(NOON + timedelta(hours=1)).isoformat()))
    return peer


def started(client_of: Start, peer: Peer, clocks: Clocks, file: Path | None = None) -> Client:
    client = client_of(peer.url, wall=clocks.wall, monotonic=clocks.monotonic, snapshot_file=file)
    assert becomes(lambda: client.health().is_connected and bool(peer.followers))
    return client


def test_a_decision_ends_at_its_hour(hour: Peer, client_of: Start) -> None:
    clocks = Clocks()
    client = started(client_of, hour, clocks)
    clocks.pass_by(3599)
    assert client.decision("a").action == "suspend"
    clocks.pass_by(2)
    assert client.decision("a") is NONE


@pytest.mark.parametrize("jump_s", [-YEAR_S, -7200, 7200, YEAR_S])
def test_a_gateway_clock_that_jumps_neither_ends_nor_prolongs_it(hour: Peer, client_of: Start, jump_s: float) -> None:
    clocks = Clocks()
    client = started(client_of, hour, clocks)
    clocks.wall_s += jump_s
    assert client.decision("a").action == "suspend"
    clocks.pass_by(3601)
    assert client.decision("a") is NONE


@pytest.mark.parametrize("wrong_by_s", [-YEAR_S, YEAR_S])
def test_a_gateway_clock_that_was_always_wrong_does_not_matter(hour: Peer, client_of: Start, wrong_by_s: float) -> None:
    clocks = Clocks(NOON + timedelta(seconds=wrong_by_s))
    client = started(client_of, hour, clocks)
    assert client.decision("a").action == "suspend"
    clocks.pass_by(3601)
    assert client.decision("a") is NONE


@pytest.mark.parametrize(("wall", "action"), [(-YEAR_S, "suspend"), (60.0, "suspend"), (YEAR_S, "none")])
def test_a_saved_copy_is_never_read_at_a_time_before_it_was_written(
    hour: Peer, client_of: Start, tmp_path: Path, wall: float, action: str
) -> None:
    file = tmp_path / "decisions"
    started(client_of, hour, Clocks(), file).close()
    clocks = Clocks(NOON + timedelta(seconds=wall))
    again = client_of("http://127.0.0.1:1", wall=clocks.wall, monotonic=clocks.monotonic, snapshot_file=file)
    assert again.decision("a").action == action
    clocks.pass_by(3601)
    assert again.decision("a") is NONE


def test_a_decision_without_an_end_stays(hour: Peer, client_of: Start) -> None:
    clocks = Clocks()
    hour.decide(row("b", "verify", expires_at=None))
    client = started(client_of, hour, clocks)
    clocks.pass_by(10 * YEAR_S)
    assert client.decision("b").action == "verify"
