"""A peer to follow, a client that follows it, and waiting for what must come true."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.client import peer as peers

from stillwatch.client import Client


@pytest.fixture
def peer() -> Iterator[peers.Peer]:
    with peers.running(peers.Peer()) as held:
        yield held


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Clients that are closed at the end."""
    made: list[Client] = []

    def start(url: str, **more: Any) -> Client:
        client = Client(url, peers.KEY, **{"refresh_s": 0.05, **more})
        made.append(client)
        return client

    yield start
    for client in made:
        client.close()


def becomes(condition: Callable[[], bool], timeout_s: float = 90) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
