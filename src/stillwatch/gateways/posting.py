"""A gateway's records on their way to intake: a bounded queue, and one thread that posts them in batches.

1. `put` takes a record and returns at once. When the queue is full the newest record is dropped, and counted.
2. The thread gathers for a moment, then posts a batch as gzipped lines, one batch at a time and in order.
3. A batch has an id and is posted until it is acknowledged, so one whose reply was lost counts once.

Misses: what waits in memory is lost with a process that is killed.
"""

import atexit
import gzip
import logging
import os
import random
import threading
import uuid
import weakref
from collections import deque
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count

from stillwatch.client.source import Source, UnavailableError

LOG = logging.getLogger("stillwatch.gateway")
BATCH_RECORDS, BATCH_BYTES = 500, 4 << 20
MOST_BYTES = 64 << 20  # of records that wait, those of the batch under way included
MOST_RECORD_BYTES = 8 << 20
GATHER_S = 0.1  # short, because a server that ends itself by a signal loses what was made within it
FLUSH_S = 5.0
_LONGEST_PAUSE_S, _LONGEST_ASKED_S = 30.0, 300.0
_TIMEOUT_S = 30.0
_OVERHEAD_BYTES = 64  # of a record in the queue
_REFUSED = frozenset({400, 413, 415, 422})  # the batch itself is wrong: it would be refused again
_BROKEN, _MOST_BROKEN = 500, 10  # a batch that breaks the service so often must not hold up the others


@dataclass(frozen=True, slots=True)
class Progress:
    """Records posted, dropped (the queue was full, or the service refused them) and waiting; posts that failed."""

    posted: int
    dropped: int
    waiting: int
    failures: int


class Posting:
    """Posts records to `/v1/litellm`. Thread-safe; a forked worker has a queue and a thread of its own."""

    def __init__(
        self, url: str, key: str, *, most_bytes: int = MOST_BYTES, gather_s: float = GATHER_S, pause_s: float = 1.0
    ) -> None:
        """Nothing is opened yet. `pause_s` is the longest first pause after a failure; it doubles.

        Raises:
            SettingsError: the URL is none of HTTP, or the key holds what no key holds.
        """
        self._source = Source(url, key, timeout_s=_TIMEOUT_S)
        self._most_bytes, self._gather_s, self._pause_s = most_bytes, gather_s, pause_s
        self._begin()
        _POSTINGS.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        """An empty queue and no thread, as at first and in a new process: the parent posts what was its own."""
        self._changed = threading.Condition()
        self._closing, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: deque[bytes] = deque()
        self._bytes = self._records = 0  # of the batch under way too
        self._posted = self._dropped = self._failures = 0
        self._is_away = self._is_dropping = False

    def put(self, record: bytes) -> None:
        """Let the record be posted: one JSON object without a line break."""
        size = len(record) + _OVERHEAD_BYTES
        with self._changed:
            fits = len(record) <= MOST_RECORD_BYTES and self._bytes + size <= self._most_bytes
            if self._closing.is_set() or not fits:
                self._drop(1)
                return
            self._waiting.append(record)
            self._bytes, self._records = self._bytes + size, self._records + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stillwatch-posting", daemon=True)
                self._thread.start()
            if len(self._waiting) == 1 or self._is_full():
                self._changed.notify()

    def drop(self) -> None:
        """Count a record that could not even be written."""
        with self._changed:
            self._drop(1)

    def progress(self) -> Progress:
        """How it goes."""
        with self._changed:
            return Progress(self._posted, self._dropped, self._records, self._failures)

    def close(self, timeout_s: float = FLUSH_S) -> None:
        """Post what waits, for so long at the most; what comes later is dropped."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        self._ended.set()
        if left := self.progress().waiting:
            LOG.warning("%d records were not posted before the end", left)
        atexit.unregister(self.close)

    def _drop(self, number: int) -> None:
        self._dropped += number
        if not self._is_dropping:
            LOG.warning("records are dropped: too many wait for the service, or they are too long")
        self._is_dropping = True

    def _is_full(self) -> bool:
        return len(self._waiting) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES or self._closing.is_set()

    def _run(self) -> None:
        while batch := self._next():
            is_posted = False
            try:
                is_posted = self._deliver(batch)
            except Exception as error:  # the boundary of the thread: the next batch may do
                LOG.warning("a batch was dropped: %s", type(error).__name__)
            self._settle(batch, is_posted=is_posted)

    def _next(self) -> list[bytes]:
        """The oldest records, once there are some and a moment has passed; none at the end."""
        batch: list[bytes] = []
        size = 0
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closing.is_set())
            self._changed.wait_for(self._is_full, self._gather_s)
            while self._waiting and not self._ended.is_set() and len(batch) < BATCH_RECORDS:
                size += len(self._waiting[0])
                if batch and size > BATCH_BYTES:
                    break
                batch.append(self._waiting.popleft())
        return batch

    def _settle(self, batch: list[bytes], *, is_posted: bool) -> None:
        """Make room again."""
        with self._changed:
            self._records -= len(batch)
            self._bytes -= sum(len(record) + _OVERHEAD_BYTES for record in batch)
            if is_posted:
                self._posted += len(batch)
                self._is_dropping = False
            else:
                self._dropped += len(batch)

    def _deliver(self, batch: list[bytes]) -> bool:
        """Post the batch until it is acknowledged; whether it was."""
        body = gzip.compress(b"\n".join(batch), 1)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        headers["X-Stillwatch-Batch-Id"] = uuid.uuid4().hex
        longest_s = self._pause_s
        for attempt in count(1):
            asked_s = 0.0
            try:
                self._source.post("/v1/litellm", headers, body)
            except UnavailableError as error:
                if error.status in _REFUSED or (error.status == _BROKEN and attempt >= _MOST_BROKEN):
                    LOG.warning("%d records were dropped: %s", len(batch), error)
                    return False
                asked_s = min(error.retry_after_s, _LONGEST_ASKED_S)
                self._failed(error)
            except (OSError, HTTPException) as error:
                self._failed(error)
            else:
                self._is_away = False
                return True
            # Not cryptography: draws apart the moments at which gateways come back.
            if not self._rest(max(asked_s, random.uniform(longest_s / 10, longest_s))):  # noqa: S311
                break
            longest_s = min(2 * longest_s, _LONGEST_PAUSE_S)
        return False

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if not self._is_away:
            LOG.warning("records wait for the service (%s: %s)", type(error).__name__, error)
        self._is_away = True

    def _rest(self, seconds: float) -> bool:
        """Pause, at the end only shortly; whether there is time for another attempt."""
        if self._closing.wait(seconds):
            self._ended.wait(min(seconds, self._gather_s))
        return not self._ended.is_set()

    def _forked(self) -> None:
        self._source.abandon()
        self._begin()


_POSTINGS: "weakref.WeakSet[Posting]" = weakref.WeakSet()


def _after_fork() -> None:
    for posting in list(_POSTINGS):
        posting._forked()


os.register_at_fork(after_in_child=_after_fork)
