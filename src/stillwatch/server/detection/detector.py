"""The detection loop: a detection in a child process, its findings into SQL, decisions brought in line, people told.

1. Due when somebody asked for it, or when it is time and there is something new to read.
2. Verdicts of analysts and accounts, with what they proved, are handed to the child as tables.
3. The child is ended when the service stops or when it takes too long; a child that fails leaves everything as it was.
4. Campaigns, members, the record of the run and the decisions change in one transaction.
5. What people are to be told is queued afterwards, once, in the transaction that notes it as told.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stillwatch.decisions import load_policy
from stillwatch.errors import ServiceError, StillwatchError
from stillwatch.server import metrics
from stillwatch.server.accounts.rows import account_rows
from stillwatch.server.detection import findings, recognised, runs
from stillwatch.server.detection.hands import Hands
from stillwatch.server.service import Service
from stillwatch.server.settings import DETECTIONS, ServerSettings

GRACE_S = 5.0  # between asking a child to end and ending it
LOOK_S = 0.1  # between two looks at a child
STDERR_CHARS = 2_000
CHILD = (sys.executable, "-m", "stillwatch.server.detection.child")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: done, failed or stopped, and what it said."""

    outcome: str
    reason: str | None = None


class Detector:
    """Runs detections one at a time, until it is stopped."""

    def __init__(self, service: Service, hands: Hands, *, command: tuple[str, ...] = CHILD) -> None:
        """Nothing runs before `turn`; `command` is what runs a detection."""
        self._service, self._hands, self._command = service, hands, command
        self._stop = threading.Event()

    def stop(self) -> None:
        """End the detection that runs, if one does, and begin no other."""
        self._stop.set()

    def turn(self) -> None:
        """Detect, when it is due."""
        settings, database = self._service.settings, self._service.database
        with database.read() as connection:
            inputs = runs.inputs_of(connection, settings.storage.state, settings.decisions.policy)
            due = inputs is not None and runs.is_due(
                connection, inputs, now=self._service.now(), every_s=settings.detection.every_s
            )
        if inputs is None or not due or self._stop.is_set():
            return
        with database.write() as connection:
            number = runs.begun(connection, inputs, now=self._service.now())
        began = time.monotonic()
        try:
            end = self._in_child(number)
            if end.outcome == "done":
                self._take_over(number, time.monotonic() - began)
        except StillwatchError as error:
            end = Ended("failed", str(error))
        metrics.detection_seconds.observe(time.monotonic() - began)
        if end.outcome != "done":
            self._note_failure(number, end, time.monotonic() - began)
            return
        self._tell()

    def _in_child(self, number: int) -> Ended:
        """Have a child detect, given everything it reads besides the state."""
        settings, out = self._service.settings, output_folder(self._service.settings)
        with tempfile.TemporaryDirectory(prefix="stillwatch-") as folder:
            with self._service.database.read() as connection:
                runs.write_verdicts(connection, out)
                known = account_rows(connection)
            accounts = Path(folder) / "accounts.parquet"
            pq.write_table(known, accounts)
            told = {
                "number": number,
                "state": str(settings.storage.state),
                "out": str(out),
                "days": settings.detection.window_days,
                "policy": settings.decisions.policy,
                "memory_limit": settings.detection.memory_limit,
                "threads": settings.detection.threads,
                "seed": settings.detection.seed,
                "groups": settings.sharing.groups,
                "accounts": str(accounts) if known.num_rows else None,
            }
            return self._awaited(json.dumps(told), Path(folder))

    def _awaited(self, told: str, folder: Path) -> Ended:
        """Start the child, and see it end one way or another."""
        request, said = folder / "request.json", folder / "stderr"
        request.write_text(told, encoding="utf-8")
        with request.open() as given, said.open("wb") as errors:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._command, stdin=given, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )
            try:
                end = self._watched(child)
            finally:
                _end(child)
        if end is not None:
            return end
        if child.returncode == 0:
            return Ended("done")
        told_last = said.read_text(encoding="utf-8", errors="replace").strip()[-STDERR_CHARS:]
        how = f"exit {child.returncode}" if child.returncode >= 0 else signal.Signals(-child.returncode).name
        return Ended("failed", f"{how}: {told_last or 'it said nothing'}")

    def _watched(self, child: "subprocess.Popen[bytes]") -> Ended | None:
        """Wait for the child; why it has to be ended, None when it ended by itself."""
        limit = self._service.settings.detection.at_most_s
        until = time.monotonic() + limit
        while child.poll() is None:
            if self._stop.wait(LOOK_S):
                return Ended("stopped", "the service stopped")
            if time.monotonic() > until:
                return Ended("failed", f"it took longer than detection.at_most_s, {limit:g} s")
        return None

    def _take_over(self, number: int, seconds: float) -> None:
        """What was found, into SQL, and the decisions in line with it: all of it or nothing."""
        service, now = self._service, self._service.now()
        found = findings.output_of(output_folder(service.settings))
        if not found.run:
            raise ServiceError("the detection ended well and left no run.json")
        policy = load_policy(Path(service.settings.decisions.policy) if service.settings.decisions.policy else None)
        counts = found.run["counts"]
        told: dict[str, Any] = {
            "seconds": round(seconds, 3),
            "exchanges": counts["exchanges"],
            "accounts": counts["accounts"],
            "campaigns": len(found.campaigns),
        }
        with service.database.write() as connection:
            findings.record(connection, found, number=number, now=now)
            recognised.record(connection, found.recognised, number=number, now=now)
            self._hands.reconcile(connection, found.campaigns, now=now, policy_name=f"{policy.name} {policy.version}")
            runs.ended(connection, number, "done", now=now, **told)
        service.log.info("detection_done", number=number, **told)

    def _note_failure(self, number: int, end: Ended, seconds: float) -> None:
        told = {"seconds": round(seconds, 3), "reason": end.reason}
        with self._service.database.write() as connection:
            runs.ended(connection, number, end.outcome, now=self._service.now(), **told)
        if end.outcome == "failed":
            metrics.detection_failures.inc()
        log = self._service.log.info if end.outcome == "stopped" else self._service.log.error
        log("detection_ended", number=number, outcome=end.outcome, **told)

    def _tell(self) -> None:
        """Queue what is news, once; what cannot be queued now is after the next detection."""
        with self._service.database.write() as connection:
            for of in (findings, recognised):
                for news in of.news(connection):
                    self._hands.tell(connection, news.kind, news.campaign_id, news.facts, now=self._service.now())
                    of.told(connection, news)


def output_folder(settings: ServerSettings) -> Path:
    """Where detections write, and read what the last one left."""
    return settings.storage.state / DETECTIONS


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a child and whatever it started: asked first, then not."""
    if child.poll() is not None:
        return
    for how, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        try:
            os.killpg(child.pid, how)
            child.wait(wait_s)
            return
        except ProcessLookupError:
            child.wait()
            return
        except subprocess.TimeoutExpired:
            continue
