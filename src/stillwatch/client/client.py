"""Decisions in the gateway's own process: a thread keeps a copy of them all, a lookup reads a dictionary.

Nothing in here raises into, or waits in, the gateway's requests. Without the service the last copy goes on; without any
copy nobody is touched.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stillwatch.client.decision import NONE, Decision, made
from stillwatch.client.following import Following
from stillwatch.client.source import Source

SILENCE_S = 40.0  # the service gives a sign of life every 15 s


@dataclass(frozen=True, slots=True)
class Health:
    """How a client is: seconds since the service's last sign of life (None: never), its version, accounts decided.

    `fail_opens` counts lookups that had to let somebody pass unseen: there was no copy yet, or an error of ours.
    `failures` counts attempts to reach the service that came to nothing, and rows that could not be read.
    """

    age_s: float | None
    version: str | None
    accounts: int
    is_connected: bool
    fail_opens: int
    failures: int
    last_error: str | None


class Client:
    """What to do about an account, in microseconds. Thread-safe; a forked worker gets a thread of its own."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        refresh_s: float = 30.0,
        snapshot_file: str | Path | None = None,
        silence_s: float = SILENCE_S,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the saved copy, if there is one, and begin to follow the service.

        `refresh_s` is the longest pause between two attempts, and how often is asked where the stream does not pass.

        Raises:
            SettingsError: the URL is none of HTTP, or the key holds what no key holds.
        """
        self._place, self._silence_s = (url, key), silence_s
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._source = Source(url, key, timeout_s=silence_s)
        file = None if snapshot_file is None else Path(snapshot_file)
        self._following = Following(file, refresh_s=refresh_s, wall=wall, monotonic=monotonic)
        self._start()
        _CLIENTS.add(self)

    def decision(self, account_id: str) -> Decision:
        """What to do about the account now; `NONE` when nothing is known."""
        try:
            if self._thread is None:
                self._start()
            table = self._following.table
            if table is None:
                self._following.fail_opens += 1  # two threads in the same instant may count one
                return NONE
            held = table.get(account_id)
            return NONE if held is None else made(held, self._following.now_s())
        except Exception:  # whatever is wrong with us, the request goes on
            self._following.fail_opens += 1
            return NONE

    def wait(self, timeout_s: float) -> bool:
        """Whether there is a copy, after waiting so long for one; for start-up, never for a request."""
        return self._ready.wait(timeout_s)

    def health(self) -> Health:
        """How it is."""
        held = self._following
        version, accounts = (held.table.version, held.table.count) if held.table is not None else (None, 0)
        return Health(
            held.age_s(), version, accounts, held.is_connected, held.fail_opens, held.failures, held.last_error
        )

    def close(self) -> None:
        """Stop following and save; what is known stays."""
        self._is_closed = True
        self._stopped.set()
        self._source.stop()
        if self._thread is not None:
            self._thread.join(5.0)

    def _start(self) -> None:
        with _STARTING:
            if self._thread is not None or self._is_closed:
                return
            self._source = Source(*self._place, timeout_s=self._silence_s)
            self._stopped, self._ready = threading.Event(), threading.Event()
            if self._following.table is not None:
                self._ready.set()
            held = (self._source, self._stopped, self._ready)
            thread = threading.Thread(target=self._following.run, args=held, name="stillwatch-client", daemon=True)
            thread.start()
            self._thread = thread

    def _forked(self) -> None:
        """In a new process: the thread is not here, and its connection belongs to the parent."""
        self._source.abandon()
        self._thread, self._following.is_connected = None, False


_CLIENTS: "weakref.WeakSet[Client]" = weakref.WeakSet()
_STARTING = threading.Lock()


def _after_fork() -> None:
    global _STARTING  # noqa: PLW0603  # whoever held it is not in this process
    _STARTING = threading.Lock()
    for client in list(_CLIENTS):
        client._forked()


os.register_at_fork(after_in_child=_after_fork)
