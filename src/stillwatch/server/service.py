"""What the running service holds, opened and closed in one place; routes and jobs are given it."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from stillwatch import ingest
from stillwatch.server import access
from stillwatch.server.database import Database, make_folder
from stillwatch.server.decisions import Snapshot, snapshot_of
from stillwatch.server.failures import Failures
from stillwatch.server.gate import Gate
from stillwatch.server.gateways import Checks
from stillwatch.server.journal import Journal
from stillwatch.server.migrations import newest
from stillwatch.server.settings import ServerSettings
from stillwatch.server.tokens import Tokens
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
    snapshot: Snapshot  # standing decisions in memory
    checks: Checks  # answers to gateways that ask
    observers: list[Callable[[pa.Table], None]] = field(default_factory=list)  # told of derived signals, cheaply
    stopping: threading.Event = field(default_factory=threading.Event)  # set when the service stops: streams end

    failures: Failures = field(default_factory=Failures)  # of addresses, to know a key
    tokens: Tokens | None = None  # of the identity provider; null without one

    def principal(self, authorization: str, api_key: str) -> access.Principal | None:
        """Who asks, by `Authorization: Bearer KEY` (or a token of the identity provider) or `X-API-Key: KEY`.

        Raises:
            ServiceError: it is a token, and the identity provider does not answer.
        """
        scheme, _, token = authorization.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else api_key.strip()
        if not given:
            return None
        if self.tokens is None or given.startswith(access.KEY_PREFIX):
            return access.principal_of(self.database, given, now=self.now())
        claims = self.tokens.claims_of(given, self.now())
        return None if claims is None else access.Principal(f"oidc:{claims['sub']}"[:200], self.tokens.roles_of(claims))


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
    log = structlog.get_logger("stillwatch")
    make_folder(settings.storage.state)
    database = Database(settings.storage.database_url)
    tokens = Tokens(settings.oidc) if settings.oidc.issuer else None
    journal = Journal(settings.storage.state / "journal", now)
    gate = Gate(settings.intake.max_pending_bytes, journal.pending_bytes)
    try:
        if (before := database.make()) != newest():
            log.info("schema_changed", database=database.name, revision=newest(), was=before)
        yield Service(
            settings=settings,
            key=ingest.Key(key_secret(key_path())),
            database=database,
            now=now,
            log=log,
            holder=f"{socket.gethostname()}:{os.getpid()}",
            tokens=tokens,
            snapshot=snapshot_of(database, settings.decisions, now=now),
            checks=Checks(settings.gateways),
            journal=journal,
            gate=gate,
        )
    finally:
        gate.close()
        journal.close()
        database.close()
        if tokens is not None:
            tokens.close()
