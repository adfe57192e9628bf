"""A topic is followed with nothing lost and nothing counted twice, on the broker that librdkafka brings for tests."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests import processes
from tests.ingest import otlp_bytes
from tests.server.conftest import NOON, Clock
from tests.server.intake import bodies

from stillwatch.errors import SettingsError
from stillwatch.server import ServerSettings, Service, load_server_settings, metrics, opened
from stillwatch.server.intake import fold, messages
from stillwatch.server.intake.jobs import jobs
from stillwatch.server.settings import Storing, Taking
from stillwatch.state import existing_manifest

kafka = pytest.importorskip("confluent_kafka", reason="NO TEST OF KAFKA RUNS: pip install 'stillwatch[kafka]'")

WAIT_S = 120
QUICK = ("session.timeout.ms=6000", "heartbeat.interval.ms=500")  # the broker of the tests waits that long for the dead


@pytest.fixture(scope="module")
def producer() -> Iterator[Any]:
    """A producer whose library is the broker too."""
    held = kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    yield held
    held.flush(WAIT_S)


@pytest.fixture(scope="module")
def servers(producer: Any) -> str:
    [broker] = producer.list_topics(timeout=WAIT_S).brokers.values()
    return f"{broker.host}:{broker.port}"


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic of the test's own."""
    return f"topic-{abs(hash(request.node.name))}"


@pytest.fixture
def send(producer: Any, topic: str) -> Callable[..., None]:
    def send(*values: bytes | None, partition: int = 0) -> None:
        for value in values:
            producer.produce(topic, value, partition=partition)
        assert producer.flush(WAIT_S) == 0

    return send


@pytest.fixture
def told(servers: str, topic: str, tmp_path: Path) -> ServerSettings:
    taking = Taking(kafka_servers=servers, kafka_topic=topic, kafka_group=topic, kafka_options=QUICK)
    return ServerSettings(storage=Storing(state=tmp_path / "state"), intake=taking)


@pytest.fixture
def held(told: ServerSettings, clock: Clock) -> Iterator[Service]:
    with opened(told, now=clock) as service:
        yield service


@contextmanager
def following(service: Service) -> Iterator[None]:
    """The job that follows the topic, at work."""
    [job] = [job for job in jobs(service) if job.name == "kafka"]
    thread = threading.Thread(target=job.run)
    thread.start()
    try:
        yield
    finally:
        service.stopping.set()
        thread.join(WAIT_S)


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def committed(told: ServerSettings, partition: int = 0) -> int:
    """The offset that the group has told the broker."""
    intake = told.intake
    asked = kafka.Consumer({"bootstrap.servers": intake.kafka_servers, "group.id": intake.kafka_group})
    try:
        return int(asked.committed([kafka.TopicPartition(intake.kafka_topic, partition)], timeout=WAIT_S)[0].offset)
    finally:
        asked.close()


def documents(count: int, first: int = 0) -> list[bytes]:
    return [json.dumps(row).encode() for row in bodies.rows(count, first=first)]


def in_journal(service: Service) -> int:
    return sum(frame.signals.num_rows for frame in bodies.journaled(service))


def test_what_is_in_the_topic_is_in_the_journal_and_then_committed(held: Service, send: Callable[..., None]) -> None:
    send(*documents(20))
    send(*documents(10, first=20), partition=1)
    with following(held):
        assert becomes(lambda: in_journal(held) == 30)
        assert becomes(lambda: [committed(held.settings, number) for number in (0, 1)] == [20, 10])
        send(*documents(5, first=30))
        assert becomes(lambda: in_journal(held) == 35)
    fold(held)
    [batch] = existing_manifest(held.settings.storage.state).batches
    assert (batch.exchanges, batch.duplicates, batch.rejected) == (35, 0, 0)


def test_messages_that_are_none_are_counted_and_hold_nobody_up(held: Service, send: Callable[..., None]) -> None:
    poison = [b'{"unclosed": [', b"\xff\xfe\x00", b"\n\n", b"null", b"[1, 2]", b"[" * 2_000, None, b""]
    first, second = documents(2)
    before = metrics.intake_rejected.labels("kafka")._value.get()
    send(first, *poison, json.dumps([json.loads(second)], indent=2).encode())
    with following(held):
        assert becomes(lambda: committed(held.settings) == len(poison) + 2)
    fold(held)
    [batch] = existing_manifest(held.settings.storage.state).batches
    assert (batch.exchanges, batch.rejected) == (2, 7)  # an array of two numbers is two rows; no value is no message
    assert metrics.intake_rejected.labels("kafka")._value.get() - before == 7


def follow_and_die() -> None:
    """Follow a topic in a process of its own that is killed where it would tell the broker how far it read."""
    import sys

    _, state, servers, topic = sys.argv
    processes.deadly("stillwatch.server.intake.kafka:Topic._commit")
    taking = Taking(kafka_servers=servers, kafka_topic=topic, kafka_group=topic, kafka_options=QUICK)
    with opened(ServerSettings(storage=Storing(state=Path(state)), intake=taking), now=lambda: NOON) as service:
        [job] = [job for job in jobs(service) if job.name == "kafka"]
        job.run()


def test_killed_between_the_journal_and_the_commit_everything_counts_once(
    told: ServerSettings, clock: Clock, send: Callable[..., None]
) -> None:
    send(*documents(25))
    intake = told.intake
    words = (told.storage.state, intake.kafka_servers, intake.kafka_topic)
    done = processes.run(*words, main="tests.server.intake.test_kafka:follow_and_die")
    assert done.returncode == -9, done.stderr
    assert committed(told) < 0
    with opened(told, now=clock) as service:
        assert in_journal(service) == 25
        send(*documents(5, first=25))
        with following(service):
            assert becomes(lambda: committed(told) == 30)
        fold(service)
    [batch] = existing_manifest(told.storage.state).batches
    assert (batch.exchanges, batch.duplicates) == (30, 25)


def test_while_there_is_no_room_nothing_is_taken_and_nothing_is_lost(
    held: Service, send: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillwatch.server.intake.kafka import Topic

    paused, pause = threading.Event(), Topic._pause
    monkeypatch.setattr(Topic, "_pause", lambda topic: (pause(topic), paused.set()))
    send(*documents(5))
    with ExitStack() as stack:
        passage = stack.enter_context(held.gate.passage())
        passage.take(held.gate.most_bytes - 10)
        with following(held):
            send(*documents(40, first=5))
            assert paused.wait(WAIT_S)
            assert (in_journal(held), committed(held.settings)) == (0, kafka.OFFSET_INVALID)
            stack.close()
            assert becomes(lambda: in_journal(held) == 45)
            assert becomes(lambda: committed(held.settings) == 45)


def test_a_disk_that_does_not_take_it_leaves_it_to_the_next_turn(
    held: Service, send: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillwatch.errors import ServiceError

    def full(_frames: Any) -> None:
        raise ServiceError("no room left")

    send(*documents(5))
    [job] = [job for job in jobs(held) if job.name == "kafka"]
    with monkeypatch.context() as patch:
        patch.setattr(type(held.journal), "append", lambda _self, frames: full(frames))
        with pytest.raises(ServiceError, match="no room left"):
            job.run()
    with following(held):
        assert becomes(lambda: in_journal(held) == 5)


@pytest.mark.parametrize("named", [True, False])
def test_any_format_of_documents_is_recognised_or_named(named: bool) -> None:
    told = [{**row, "model_group": "large", "saved_cache_cost": 0.0} for row in bodies.payloads(bodies.rows(3))]
    body = messages.joined([json.dumps(row).encode() for row in told], "litellm" if named else "", 1 << 20)
    assert body.kind.format_name == "litellm"
    assert [len(raw.lines) for raw in body.kind.slices(body.content, 1 << 20)] == [3]


def test_requests_in_protobuf_are_joined_and_broken_ones_left_out() -> None:
    values = [otlp_bytes.request(bodies.spans(bodies.rows(2, first=2 * number))) for number in range(3)]
    body = messages.joined([values[0], b"\x0a\xff", *values[1:]], "otlp_spans", 1 << 20)
    found = list(body.kind.slices(body.content, 1 << 20))
    assert sum(len(raw.lines) for raw in found) == 6
    assert [rejection.line for raw in found for rejection in raw.rejections] == [2]


def test_a_message_larger_than_a_body_may_be_is_set_aside() -> None:
    body = messages.joined([b'{"a": "' + b"x" * 200 + b'"}', *documents(1)], "", 300)
    assert [len(raw.rejections) for raw in body.kind.slices(body.content, 300)] == [0]
    body = messages.joined([b'{"a": "' + b"x" * 400 + b'"}', *documents(1)], "", 300)
    [faults, _] = body.kind.slices(body.content, 300)
    assert [rejection.reason for rejection in faults.rejections] == ["a message of more than 300 bytes"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"KAFKA_SERVERS": "a:9092"}, "give kafka_servers, kafka_topic and kafka_group"),
        ({"KAFKA_SERVERS": "a:9092", "KAFKA_TOPIC": "t", "KAFKA_OPTIONS": "sasl"}, "NAME=VALUE"),
    ],
)
def test_half_a_setting_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_server_settings(None, {f"STILLWATCH_INTAKE_{name}": value for name, value in given.items()})


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"pip install 'stillwatch\[kafka\]'"):
        load_server_settings(None, {"STILLWATCH_INTAKE_KAFKA_SERVERS": "a:1", "STILLWATCH_INTAKE_KAFKA_TOPIC": "t"})


def test_a_format_that_no_message_has_is_refused(told: ServerSettings, tmp_path: Path) -> None:
    from dataclasses import replace

    wrong = replace(told, intake=replace(told.intake, kafka_format="parquet"))
    with (
        opened(wrong) as service,
        pytest.raises(SettingsError, match=r"format parquet: give one of .*otlp_spans"),
    ):
        jobs(service)
