"""A service of the tests' own: over SQLite, and over a real PostgreSQL where one is wanted."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
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
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, from a wheel; the tests that want it are skipped loudly where it does not run."""
    pgserver = pytest.importorskip(
        "pgserver", reason="pgserver has no wheel for this Python: NO TEST OF POSTGRESQL RUNS"
    )
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A database of the test's own."""
    import sqlalchemy as sa

    engine = sa.create_engine(postgres_server.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        number = connection.execute(sa.text("SELECT count(*) FROM pg_database")).scalar_one()
        connection.execute(sa.text(f"CREATE DATABASE test_{number}"))
    engine.dispose()
    return postgres_server.replace("/postgres?", f"/test_{number}?", 1)


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
