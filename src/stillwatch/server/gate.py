"""How much may be on its way into the state at once: bodies being read, and signals that wait to be folded.

What comes beyond that is told to come again later, before memory or the disk grows.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

REMEMBERED_BATCHES = 100_000  # ids of batches that came lately; beside them every exchange is told apart by its own id

THREADS = 8  # bodies that wait for the disk together; threads of their own, so that a decision never waits for them


class Full(Exception):  # noqa: N818 - becomes a reply
    """Too much is on its way: it is to be sent again later."""


@dataclass(slots=True)
class Gate:
    """Counts bytes on their way, lets so many bodies be worked on at a time, and knows the batches of late."""

    most_bytes: int
    pending_bytes: Callable[[], int]
    working: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(os.cpu_count() or 1))
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "intake"))
    _in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _batches: OrderedDict[str, None] = field(default_factory=OrderedDict)

    @contextmanager
    def passage(self) -> Iterator["Passage"]:
        """The way of one body; what it took is given back at the end."""
        passage = Passage(self)
        try:
            yield passage
        finally:
            with self._lock:
                self._in_flight -= passage.taken_bytes

    def take(self, count: int) -> None:
        """Let so many bytes in.

        Raises:
            Full: they would be too many.
        """
        pending = self.pending_bytes()
        with self._lock:
            if self._in_flight + pending + count > self.most_bytes:
                raise Full
            self._in_flight += count

    def close(self) -> None:
        """Let the bodies that are worked on finish."""
        self.threads.shutdown()

    def is_known(self, batch_id: str) -> bool:
        """Whether the batch was acknowledged lately, by this process."""
        with self._lock:
            return batch_id in self._batches

    def remember(self, batch_id: str) -> None:
        """The batch was acknowledged."""
        with self._lock:
            self._batches[batch_id] = None
            if len(self._batches) > REMEMBERED_BATCHES:
                self._batches.popitem(last=False)


@dataclass(slots=True)
class Passage:
    """What one body has taken of the gate."""

    gate: Gate
    taken_bytes: int = 0

    def take(self, count: int) -> None:
        """Let so many bytes more in.

        Raises:
            Full: they would be too many.
        """
        self.gate.take(count)
        self.taken_bytes += count
