"""What the running service holds, opened and closed in one place; routes and jobs are given it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from stillwatch import ingest
from stillwatch.server import access
from stillwatch.server.database import Database
from stillwatch.server.gate import Gate
from stillwatch.server.journal import Journal
from stillwatch.server.settings import ServerSettings
from stillwatch.settings import key_path, key_secret

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Service:
    """Held resources: settings, key, database, the clock and the log; the parts hold their own beside these."""

    settings: ServerSettings
    key: ingest.Key
    database: Database
    now: Clock
    log: Any
    holder: str  # of leases: this process
    journal: Journal  # what was acknowledged and is not folded yet
    gate: Gate  # what is on its way in
    observers: list[Callable[[pa.Table], None]]  # told of signals once they are durable, in the request's thread

    def principal(self, authorization: str, api_key: str) -> access.Principal | None:
        """Who asks, by `Authorization: Bearer KEY` or `X-API-Key: KEY`."""
        scheme, _, token = authorization.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else api_key.strip()
        return access.principal_of(self.database, given, now=self.now()) if given else None


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@contextmanager
def opened(settings: ServerSettings, *, now: Clock = utc_now) -> Iterator[Service]:
    """The service's resources, opened, and closed at the end.

    Raises:
        SettingsError: the key or a setting cannot be used.
        ServiceError: the database does not answer.
    """
    settings.storage.state.mkdir(parents=True, exist_ok=True)
    database = Database(settings.storage.database_url)
    journal = Journal(settings.storage.state / "journal", now)
    gate = Gate(settings.intake.max_pending_bytes, journal.pending_bytes)
    try:
        database.make()
        yield Service(
            settings=settings,
            key=ingest.Key(key_secret(key_path())),
            database=database,
            now=now,
            log=structlog.get_logger("stillwatch"),
            holder=f"{socket.gethostname()}:{os.getpid()}",
            journal=journal,
            gate=gate,
            observers=[],
        )
    finally:
        gate.close()
        journal.close()
        database.close()
