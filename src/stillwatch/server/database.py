"""The database of records: SQLite in the state folder, or PostgreSQL for teams; the same schema in both.

A `write` is one transaction: all of it or nothing. In SQLite it takes the write lock at once, so that two writers wait
for each other instead of failing half way.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from stillwatch.errors import ServiceError, SettingsError
from stillwatch.server import migrations
from stillwatch.server.tables import leases

BUSY_TIMEOUT_S = 30  # how long a writer of SQLite waits for another
CLOCKS_DIFFER = timedelta(hours=1)  # at most, those of the machines that share a database
_WRITES = {"stillwatch_writes": True}


class Database:
    """A pool of connections to the records."""

    def __init__(self, url: str) -> None:
        """Open the database; nothing is made yet.

        Raises:
            SettingsError: the URL names no database we can use.
        """
        try:
            parsed = sa.make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
        except SQLAlchemyError as error:
            raise SettingsError("the database is no URL: write sqlite:///FILE or postgresql://HOST/NAME") from error
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise SettingsError(f"database {parsed.get_backend_name()}: use sqlite:///FILE or postgresql://HOST/NAME")
        self.name = parsed.render_as_string(hide_password=True)
        if self.is_sqlite and parsed.database:
            make_folder(Path(parsed.database).parent)
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_TIMEOUT_S}} if self.is_sqlite else {"pool_pre_ping": True}
        )
        self.engine = sa.create_engine(parsed, hide_parameters=True, **options)  # errors quote no values
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_in_sqlite)

    def make(self) -> str | None:
        """Bring the tables to this version, once, whoever else is at it; the revision they were at.

        Raises:
            ServiceError: the database does not answer, or a newer stillwatch made it.
        """
        with self.read() as connection:
            before = migrations.current(connection)
        if before == migrations.newest():
            return before
        with self.write() as connection:
            return migrations.upgraded(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read with; what it reads is one moment's."""
        with _told(self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection to write with: one transaction, committed at the end or undone by an error."""
        with _told(self.name), self.engine.connect() as plain:
            connection = plain.execution_options(**_WRITES)
            with connection.begin():
                yield connection

    def lease(self, name: str, holder: str, *, now: datetime, seconds: float) -> bool:
        """Whether the holder has the work of that name for so many seconds from now; holding it already renews it.

        One that ends later than anybody can have taken it for was taken by a clock that was wrong, and holds nobody up.
        """
        until = now + timedelta(seconds=seconds)
        is_over = (leases.c.held_until <= now) | (leases.c.held_until > until + CLOCKS_DIFFER)
        mine = (leases.c.holder == holder) | is_over
        with self.write() as connection:
            renewed = connection.execute(
                leases.update().where(leases.c.name == name, mine).values(holder=holder, held_until=until)
            )
            if renewed.rowcount:
                return True
            taken = connection.execute(sa.select(leases.c.name).where(leases.c.name == name)).first()
            if taken is not None:
                return False
            try:
                with connection.begin_nested():
                    connection.execute(leases.insert().values(name=name, holder=holder, held_until=until))
            except sa.exc.IntegrityError:  # another process was faster
                return False
            return True

    def release(self, name: str, holder: str) -> None:
        """Let others have the work at once."""
        with self.write() as connection:
            connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def make_folder(folder: Path) -> None:
    """Make a folder for what the service keeps, unless it is there.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make {folder}: {error.strerror}. Choose another storage.state.") from error


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the driver says about a database that is gone, as one of our errors."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            raise ServiceError(f"the database {name} does not answer: {error.orig}") from error
        raise


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_in_sqlite, never by the driver
    _log_ahead(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _log_ahead(connection: Any) -> None:
    """Have a database write ahead. Here SQLite waits for nobody, so that two who begin one at once would fail."""
    last = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            is_held = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)  # less its details
            if not is_held or time.monotonic() > last:
                raise
            time.sleep(0.01)


def _begin_in_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("stillwatch_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
