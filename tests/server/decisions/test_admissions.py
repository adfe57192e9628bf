"""What is remembered of keys: seconds, by digest, and never a refusal."""

from collections.abc import Callable

import pytest

from stillwatch.errors import ServiceError
from stillwatch.server.access import Principal
from stillwatch.server.decisions import admissions
from stillwatch.server.decisions.admissions import FRESH_S, OLD_S, Admissions

GATEWAY = Principal("key:gateway", frozenset(["enforcer"]), "acme")


class World:
    """A clock that is moved, work that is done when it is told to, and keys that can be revoked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.later: list[Callable[[], None]] = []
        self.known: dict[tuple[str, str], Principal | None] = {("Bearer k", ""): GATEWAY}
        self.is_gone = False
        self.asked = 0
        self.held = Admissions(self.principal, later=self.later.append, clock=lambda: self.now)

    def principal(self, authorization: str, api_key: str) -> Principal | None:
        self.asked += 1
        if self.is_gone:
            raise ServiceError("the database does not answer")
        return self.known.get((authorization, api_key))

    def work(self) -> None:
        while self.later:
            self.later.pop()()

    def namespace(self, authorization: bytes = b"Bearer k", api_key: bytes = b"") -> bytes | None:
        return self.held.namespace(authorization, api_key)


@pytest.fixture
def world() -> World:
    return World()


def test_a_key_is_known_once_it_was_looked_at_in_the_background(world: World) -> None:
    assert world.namespace() is None
    assert world.namespace() is None
    world.work()
    assert (world.namespace(), world.asked) == (b"acme:", 1)


def test_a_key_in_use_is_looked_at_again_and_serves_meanwhile(world: World) -> None:
    world.namespace()
    world.work()
    for _ in range(5):
        world.now += FRESH_S + 0.1
        assert world.namespace() == world.namespace() == b"acme:"
        world.work()
    assert world.asked == 6


def test_a_revoked_key_serves_a_few_seconds_at_most(world: World) -> None:
    world.namespace()
    world.work()
    world.known.clear()
    world.now += OLD_S - 0.1
    assert world.namespace() == b"acme:"
    world.now += 0.1
    assert world.namespace() is None  # even if nobody has looked yet
    world.work()
    assert world.namespace() is None


def test_the_age_counts_from_before_the_look(world: World) -> None:
    world.namespace()
    world.now += OLD_S  # the look takes that long
    slow = world.later.pop()
    world.held._principal = lambda *_: (setattr(world, "now", world.now + OLD_S), GATEWAY)[1]
    slow()
    assert world.namespace() is None


@pytest.mark.parametrize("found", [None, Principal("key:a", frozenset(["analyst", "ingest"]))])
def test_a_refusal_is_never_remembered(world: World, found: Principal | None) -> None:
    world.known["Bearer k", ""] = found
    world.namespace()
    world.work()
    assert world.namespace() is None
    world.known["Bearer k", ""] = GATEWAY
    world.work()
    assert world.namespace() == b"acme:"


def test_a_database_that_is_gone_lets_keys_run_out_and_come_back(world: World) -> None:
    world.namespace()
    world.work()
    world.is_gone = True
    world.now += FRESH_S + 0.1
    assert world.namespace() == b"acme:"
    world.work()
    assert world.namespace() == b"acme:"
    world.now += OLD_S
    assert world.namespace() is None
    world.is_gone = False
    world.work()
    assert world.namespace() == b"acme:"


def test_a_flood_of_unknown_keys_asks_the_database_for_a_few_at_once(world: World) -> None:
    for number in range(1_000):
        assert world.namespace(b"Bearer %d" % number) is None
    assert len(world.later) == admissions._MOST_LOOKS
    world.work()
    assert (len(world.held._held), len(world.held._looks)) == (0, 0)


def test_what_is_remembered_is_bounded_and_holds_no_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admissions, "_MOST", 10)
    for number in range(25):
        world.known[f"Bearer {number}", ""] = GATEWAY
        world.namespace(b"Bearer %d" % number)
        world.work()
    assert len(world.held._held) <= 10
    assert all(b"Bearer" not in digest for digest in world.held._held)
