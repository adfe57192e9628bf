"""A service of the tests' own: over SQLite, and over a real PostgreSQL where one is wanted."""

import atexit
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.settings import Storing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **units: float) -> None:
        self.moment += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL, from a wheel; the tests that want it are skipped loudly where it does not run.

    It runs as another user where tests run as root, and pytest shuts its own folder to others at the start of any run.
    """
    pgserver = pytest.importorskip(
        "pgserver", reason="pgserver has no wheel for this Python: NO TEST OF POSTGRESQL RUNS"
    )
    folder = Path(tempfile.mkdtemp(prefix="stillwatch-postgres-"))
    server = pgserver.get_server(folder, cleanup_mode=None)
    try:
        yield server.get_uri()
    finally:
        # Its own way to stop waits for a lock that every test run on the machine shares, and writes everything to disk.
        atexit.unregister(server._cleanup)
        process = server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def one_database(postgres_server: str) -> Iterator[sa.Engine]:
    """A database for all tests: making one for each, and writing it to the disk, takes longer than most of them."""
    engine = sa.create_engine(
        postgres_server.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sa.text("ALTER SYSTEM SET fsync = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_url(one_database: sa.Engine, postgres_server: str) -> str:
    """The database, emptied."""
    with one_database.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    return postgres_server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind; empty means the SQLite of the state folder."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""


@pytest.fixture
def service(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    with opened(ServerSettings(storage=Storing(state=tmp_path / "state")), now=clock) as held:
        yield held


@pytest.fixture
def key_for(service: Service, clock: Clock) -> Callable[..., dict[str, str]]:
    """Headers of a new API key with these roles."""

    def made(*roles: str, namespace: str | None = None) -> dict[str, str]:
        key = made_key(
            service.database, name="-".join(roles), roles=roles, by="tests", now=clock(), namespace=namespace
        )
        return {"Authorization": f"Bearer {key}"}

    return made


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(application(service)) as held:
        yield held
