"""The copy of all decisions, and how it follows the service.

1. The snapshot is fetched once, then the stream of changes is followed from its version.
2. When the stream breaks it is taken up again at the version that was reached, after a pause that doubles and is drawn
   at random, so that a thousand gateways do not come back at the same instant.
3. When the stream says nothing at all (a proxy that holds it back), the snapshot's version is asked for now and then.
4. The service asks to start over (`reset`) when it no longer knows the version.

Expiry follows the service's clock, as its replies tell it, carried on by this process's monotonic clock. The gateway's
own clock is used until the first reply only, and never before the time at which a saved copy was written.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from stillwatch.client.decision import Kept, kept
from stillwatch.client.saved import load, save
from stillwatch.client.source import Change, Source, UnavailableError, seconds_of
from stillwatch.client.table import Table
from stillwatch.errors import ServiceError

LOG = logging.getLogger("stillwatch.client")
FIRST_PAUSE_S = 1.0
_ROWS_AT_ONCE = 64  # then other threads go on: this is a third of a millisecond of the interpreter
_REST_S = 0.0005
_SAVES_SHARE = 0.05  # at most so much of the thread's time goes into saving


class Following:
    """The copy. One thread runs it, any number read `table` and `now_s`."""

    def __init__(
        self, file: Path | None, *, refresh_s: float, wall: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        """The saved copy, if there is one."""
        self._file, self._refresh_s, self._monotonic = file, refresh_s, monotonic
        self._offset_s = wall() - monotonic()  # from the monotonic clock to the service's
        self._saved: tuple[str | None, float, float] = (None, monotonic(), 0.0)  # version, when, how long it took
        self._heard_at: float | None = None
        self._polls = False
        self.table: Table | None = None
        self.is_connected = False
        self.failures = 0
        self.fail_opens = 0  # lookups that had to let somebody pass unseen
        self._told_of = 0
        self._has_warned = False
        self.last_error: str | None = None
        self._load()

    def now_s(self) -> float:
        """The service's time, in seconds since 1970."""
        return self._monotonic() + self._offset_s

    def age_s(self) -> float | None:
        """Seconds since the service's last sign of life; None before the first."""
        return None if self._heard_at is None else self._monotonic() - self._heard_at

    def run(self, source: Source, stopped: threading.Event, ready: threading.Event) -> None:
        """Follow the source until stopped; `ready` is set once there is a copy."""
        pause_s = FIRST_PAUSE_S
        while not stopped.is_set():
            began = self._monotonic()
            wait_s = 0.0
            try:
                self._follow(source, ready)
            except Exception as error:  # the boundary of the thread: the copy stays, and it is tried again
                wait_s = 0.0 if stopped.is_set() else self._failed(error)
            self.is_connected = False
            lived_long = self._monotonic() - began > self._refresh_s
            pause_s = FIRST_PAUSE_S if lived_long else 2 * pause_s
            longest_s = self._refresh_s if self._polls else min(pause_s, self._refresh_s)
            # Not cryptography: draws apart the moments at which gateways come back.
            stopped.wait(max(wait_s, random.uniform(longest_s / 10, longest_s)))  # noqa: S311
        self._save_now()

    def _failed(self, error: Exception) -> float:
        """Remember what went wrong; how long the service asks us to stay away."""
        self.failures += 1
        told = str(error) if isinstance(error, OSError | HTTPException | ValueError | ServiceError) else ""
        if self.last_error is None:
            LOG.warning("the decision service is away (%s: %s); the last copy goes on", type(error).__name__, told)
        self.last_error = f"{type(error).__name__}: {told}"
        return min(error.retry_after_s, 10 * self._refresh_s) if isinstance(error, UnavailableError) else 0.0

    def _follow(self, source: Source, ready: threading.Event) -> None:
        if self.table is None or self._polls:
            self._fetch(source, self.table)
            ready.set()
        table = self.table
        if table is None:
            raise ValueError("the service says that nothing changed, but was told of nothing")
        self._polls = False
        self._tell_of_fail_opens(source)
        try:
            for number, change in enumerate(source.changes(table.version), 1):
                self._heard(source)
                if change is not None and change.kind == "reset":
                    self._fetch(source, None)
                    return
                self._apply(table, change)
                if number % _ROWS_AT_ONCE == 0:
                    time.sleep(_REST_S)
                self._save_sometimes()
        except (TimeoutError, UnavailableError):
            self._polls = True
            raise

    def _tell_of_fail_opens(self, source: Source) -> None:
        """Once it is back, let the service count whom we let pass without it."""
        untold = self.fail_opens - self._told_of
        if untold:
            with suppress(UnavailableError):  # a service that does not count them
                source.tell_of_fail_opens(untold)
            self._told_of += untold

    def _fetch(self, source: Source, known: Table | None) -> None:
        """The snapshot, in place of what was known unless that is still its version.

        Raises:
            ValueError: it is not whole.
        """
        lines = source.snapshot(None if known is None else known.version)
        self._heard(source)
        if lines is None:
            return
        head = json.loads(next(lines, b"{}"))
        fresh, count = Table(str(head["version"])), 0
        for count, line in enumerate((line for line in lines if line), 1):
            self._put(fresh, line)
            if count % _ROWS_AT_ONCE == 0:
                time.sleep(_REST_S)  # a thread that computes keeps the interpreter for 5 ms at a time
        if count != head["count"]:
            raise ValueError(f"the snapshot has {count} decisions of {head['count']}")
        self.table = fresh
        self._save_sometimes()

    def _apply(self, table: Table, change: Change | None) -> None:
        if change is not None and change.kind == "decision":
            self._put(table, change.data)
        if change is not None and change.version:
            table.version = change.version

    def _put(self, table: Table, line: bytes) -> None:
        """Keep a row. Of one that cannot be read, as a newer service may send, no decision is kept."""
        row = json.loads(line)
        held: Kept | None = None
        try:
            held = kept(row)
        except (ValueError, TypeError) as error:
            self.failures += 1
            if not self._has_warned:
                LOG.warning("decisions that cannot be read are not applied; the first: %s", error)
            self._has_warned = True
        table.put(str(row["account_id"]), held)

    def _heard(self, source: Source) -> None:
        now = self._monotonic()
        if not self.is_connected:
            told = seconds_of(source.date)
            if told is not None:
                self._offset_s = told - now
        self._heard_at, self.is_connected = now, True
        if self.last_error is not None:
            LOG.warning("the decision service is back")
            self.last_error = None

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            found = load(self._file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOG.warning("the saved decisions are of no use: %s", error)
            return
        if found is not None:
            self.table, saved_at_s = found
            self._offset_s = max(self._offset_s, saved_at_s - self._monotonic())
            self._saved = (self.table.version, self._monotonic(), 0.0)

    def _save_sometimes(self) -> None:
        version, when, took_s = self._saved
        if self._monotonic() - when >= max(self._refresh_s if version else 0.0, took_s / _SAVES_SHARE):
            self._save_now()

    def _save_now(self) -> None:
        if self._file is None or self.table is None or self.table.version == self._saved[0]:
            return
        began = self._monotonic()
        version = self.table.version
        try:
            save(self.table, self._file, now_s=self.now_s(), rest=lambda: time.sleep(_REST_S))
        except OSError as error:
            LOG.warning("the decisions cannot be saved in %s: %s", self._file, error.strerror)
        ended = self._monotonic()
        self._saved = (version, ended, ended - began)
