"""A Kafka topic: what its messages hold is on our disk before Kafka is told that they were read.

Offsets are committed after the journal has been written, never before. A process that dies in between reads the same
messages again, and the exchanges in them, known by their ids, count once. Processes of one group share the partitions.
While too much is on its way the partitions are paused, so Kafka keeps what waits.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stillwatch.server import metrics
from stillwatch.server.access import Principal
from stillwatch.server.gate import Full, Passage
from stillwatch.server.intake import messages, taking
from stillwatch.server.intake.lots import lots
from stillwatch.server.logging import failure
from stillwatch.server.service import Service

MOST_MESSAGES, MOST_BYTES = 2_000, 8 << 20  # that are worked on at once
WAIT_S = 0.5  # for messages, and between two looks whether there is room again
_FETCHED_KB = 16 << 10  # of one process, in memory before we ask for it


@dataclass(slots=True)
class Topic:
    """The topic of the settings, followed in the name of the group."""

    service: Service
    _consumer: Any = None
    _is_paused: bool = field(default=False)

    def follow(self) -> None:
        """Take in what comes until the service stops. Whatever cannot be kept now is read again at the next call."""
        self._consumer = Consumer(options_of(self.service), logger=logging.getLogger("kafka"))
        self._is_paused = False
        try:
            self._consumer.subscribe([self.service.settings.intake.kafka_topic])
            while not self.service.stopping.is_set():
                self._take_in(self._consumer.consume(MOST_MESSAGES, WAIT_S))
        finally:
            self._consumer.close()

    def _take_in(self, found: Sequence[Any]) -> None:
        for problem in {message.error().name() for message in found if message.error() is not None}:
            self.service.log.warning("kafka_answered", reason=problem)
        read = sorted((m for m in found if m.error() is None), key=lambda m: (m.partition(), m.offset()))
        for partition, together in groupby(read, key=lambda message: message.partition()):
            for part in lots(together, lambda message: len(message.value() or b""), most_bytes=MOST_BYTES):
                if not self._kept(partition, part):
                    return

    def _kept(self, partition: int, part: Sequence[Any]) -> bool:
        """Whether the messages are on the disk, and Kafka told so; not when the service stops before there is room."""
        told, topic = self.service.settings.intake, self.service.settings.intake.kafka_topic
        values = [message.value() for message in part if message.value()]  # one without a value marks a deletion
        first, last = part[0].offset(), part[-1].offset()
        body = messages.joined(values, told.kafka_format, told.max_body_bytes)
        principal = Principal(f"{topic}[{partition}] from {first}", frozenset({"ingest"}))
        name = taking.batch_id_of(f"kafka {topic}", body.kind, f"{partition} {first} {last}", b"")
        with self.service.gate.passage() as passage:
            if not self._has_room(passage, sum(map(len, values))):
                return False
            _count(taking.taken(self.service, principal, body.kind, body.content, name), sum(map(len, values)))
        self._commit(TopicPartition(topic, partition, last + 1))
        return True

    def _commit(self, place: TopicPartition) -> None:
        try:
            self._consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException as error:  # another process has the partition now, and reads this once more
            self.service.log.warning("kafka_not_committed", **failure(error))

    def _has_room(self, passage: Passage, count: int) -> bool:
        """Wait for room; meanwhile nothing more is fetched, and polling says that we are alive."""
        while not self.service.stopping.is_set():
            try:
                passage.take(min(count, passage.gate.most_bytes // 2))
            except Full:
                self._pause()
                continue
            if self._is_paused:
                self._consumer.resume(self._consumer.assignment())
                self._is_paused = False
            return True
        return False

    def _pause(self) -> None:
        self._consumer.pause(self._consumer.assignment())
        self._is_paused = True
        stray = self._consumer.poll(WAIT_S)
        if stray is not None and stray.error() is None:  # of a partition that came to us just now
            self._consumer.seek(TopicPartition(stray.topic(), stray.partition(), stray.offset()))


def options_of(service: Service) -> Mapping[str, Any]:
    """What librdkafka is told: the operator's own options, then what must be so."""
    told = service.settings.intake
    given = dict(option.split("=", 1) for option in told.kafka_options)
    return {
        "queued.max.messages.kbytes": _FETCHED_KB,
        "auto.offset.reset": "earliest",
        **given,
        "bootstrap.servers": told.kafka_servers,
        "group.id": told.kafka_group,
        "enable.auto.commit": False,
    }


def _count(done: taking.Taken, size: int) -> None:
    if done.is_duplicate:
        metrics.intake_duplicates.inc()
        return
    metrics.intake_exchanges.labels(messages.SOURCE).inc(done.accepted)
    metrics.intake_rejected.labels(messages.SOURCE).inc(done.rejected)
    metrics.intake_bytes.labels(messages.SOURCE).inc(size)
