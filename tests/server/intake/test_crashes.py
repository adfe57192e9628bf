"""Killed at any moment under load: nothing acknowledged is lost, nothing counts twice, the state is that of a batch.

STILLWATCH_KILLS says how often each database sees its process killed; `make test-crash` sets it.
"""

import http.client
import os
import random
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import processes
from tests.flow import planted
from tests.server.intake import bodies
from tests.server.intake.test_folding import plain
from tests.state import worlds

from stillwatch.server import ServerSettings, opened
from stillwatch.server.access import made_key
from stillwatch.server.intake import fold
from stillwatch.server.service import utc_now
from stillwatch.server.settings import Storing
from stillwatch.state import existing_manifest

KILLS = int(os.environ.get("STILLWATCH_KILLS", "0"))
SENDERS, ROWS_PER_BATCH = 2, 12
DEADLINE_S = 120


@dataclass
class Load:
    """Batches that are sent until each is acknowledged, whoever dies meanwhile."""

    waiting: "deque[tuple[str, bytes]]"
    headers: dict[str, str]
    port: int = 0
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self) -> None:
        """Send until nothing waits; a batch that was not acknowledged waits again."""
        while self.waiting:
            try:
                name, body = self.waiting.popleft()
            except IndexError:
                return
            if not self._is_taken(name, body):
                self.waiting.append((name, body))

    def _is_taken(self, name: str, body: bytes) -> bool:
        with self.changed:
            if not self.changed.wait_for(lambda: self.port, DEADLINE_S):
                self.problems.append("no server")
            port = self.port
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as connection:
                connection.request("POST", "/v1/exchanges", body, {**self.headers, "X-Stillwatch-Batch-Id": name})
                reply = connection.getresponse()
                status, content = reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            with self.changed:  # it was killed: wait for the next
                self.changed.wait_for(lambda: self.port != port, DEADLINE_S)
            return False
        if status != 200:
            self.problems.append(content.decode())
            return status != 503
        with self.changed:
            self.acknowledged += 1
            self.changed.notify_all()
        return True


@contextmanager
def serving(state: Path, database: str, load: Load, main: str = "serving") -> Iterator[processes.Forked]:
    """A process of the service that the load is sent to; killed at the end."""
    words = (state, database)
    with processes.started(*words, main=f"tests.server.intake.{main}:main", errors=state.parent / "errors") as run:
        try:
            port = int(run.stdout.readline())
            with load.changed:
                load.port = port
                load.changed.notify_all()
            yield run
        finally:
            with load.changed:
                load.port = 0
                load.changed.notify_all()
            run.kill()


def key_of(state: Path, database: str) -> str:
    with opened(ServerSettings(storage=Storing(state=state, database=database))) as service:
        return made_key(service.database, name="k", roles=["ingest"], by="tests", now=utc_now())


@pytest.mark.parametrize(("kind", "kills"), [("sqlite", KILLS or 3), ("postgresql", KILLS or 2)])
def test_killed_at_random_moments_under_load_the_state_is_that_of_a_batch(
    kind: str, kills: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    state, rng = tmp_path / "state", random.Random(kills)
    rows = planted.exchanges()[: 40 * ROWS_PER_BATCH * (kills + 1)]
    told = plain(rows)
    starts = range(0, len(told), ROWS_PER_BATCH)
    waiting = deque((str(start), bodies.lines(told[start : start + ROWS_PER_BATCH])) for start in starts)
    load = Load(waiting, {"X-API-Key": key_of(state, database)})
    senders = [threading.Thread(target=load.send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        with serving(state, database, load):
            wanted = load.acknowledged + rng.randrange(1, 40)
            with load.changed:
                load.changed.wait_for(lambda: load.acknowledged >= wanted or not load.waiting, DEADLINE_S)  # noqa: B023
            threading.Event().wait(rng.random() / 20)
    with serving(state, database, load):
        for sender in senders:
            sender.join(DEADLINE_S)
    assert (load.problems, list(load.waiting), load.acknowledged) == ([], [], len(starts))
    with opened(ServerSettings(storage=Storing(state=state, database=database))) as service:
        fold(service)
        assert bodies.journaled(service) == []
    planted.write_part(tmp_path / "all.parquet", rows)
    assert sum(batch.exchanges for batch in existing_manifest(state).batches) == len(rows)
    assert worlds.merged(state, tmp_path / "merged") == worlds.rolled([tmp_path / "all.parquet"], tmp_path / "rolled")
