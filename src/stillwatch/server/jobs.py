"""Work that comes round: each job in a thread of its own, one process at a time where it must be.

A job that fails is reported and tried again at its next turn; it never takes the service down.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stillwatch.server import metrics
from stillwatch.server.database import Database
from stillwatch.server.logging import failure

LEASE_S = 60.0  # a process that died lets others go on after this


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work: its name, seconds between two starts, and whether only one process may do it at a time.

    `stop`, when there is one, cuts a run short: it is called once, when no job is to go on.
    """

    name: str
    every_s: float
    run: Callable[[], None]
    is_shared: bool = True
    stop: Callable[[], None] | None = None


class Jobs:
    """The threads that run jobs until they are stopped."""

    def __init__(
        self, jobs: Sequence[Job], database: Database, *, holder: str, now: Callable[[], datetime], log: Any
    ) -> None:
        """Nothing runs before `start`."""
        self._jobs, self._database, self._holder, self._now, self._log = jobs, database, holder, now, log
        self._stopped = threading.Event()
        self._wakes = {job.name: threading.Event() for job in jobs}
        self._threads = [threading.Thread(target=self._loop, args=(job,), name=job.name, daemon=True) for job in jobs]

    def start(self) -> None:
        """Start every job."""
        for thread in self._threads:
            thread.start()

    def wake(self, name: str) -> None:
        """Have a job run now instead of at its next turn."""
        self._wakes[name].set()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Let every job finish what it does, and no more; those that can be cut short are."""
        self._stopped.set()
        for job in self._jobs:
            if job.stop is not None:
                job.stop()
        for wake in self._wakes.values():
            wake.set()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _loop(self, job: Job) -> None:
        wake = self._wakes[job.name]
        while not self._stopped.is_set():
            began = time.monotonic()
            self._turn(job)
            wake.wait(max(0.0, job.every_s - (time.monotonic() - began)))
            wake.clear()

    def _turn(self, job: Job) -> None:
        try:
            if not job.is_shared:
                job.run()
            elif self._leased(job):
                with _renewed(lambda: self._leased(job)):
                    job.run()
        except Exception as error:  # the boundary of a job: whatever it was, the service goes on
            metrics.job_failures.labels(job.name).inc()
            self._log.error("job_failed", job=job.name, **failure(error))

    def _leased(self, job: Job) -> bool:
        return self._database.lease(job.name, self._holder, now=self._now(), seconds=LEASE_S + job.every_s)


@contextmanager
def _renewed(renew: Callable[[], object]) -> Iterator[None]:
    """Renew a lease while work goes on, however long that takes."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE_S / 3):
            renew()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
