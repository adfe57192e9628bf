"""The database: the same promises over SQLite and over PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa

from stillwatch.errors import ServiceError, SettingsError
from stillwatch.server import audit
from stillwatch.server.access import made_key, principal_of
from stillwatch.server.database import Database
from stillwatch.server.tables import api_keys
from stillwatch.server.tables import audit as audit_table

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    held = Database(database_url or f"sqlite:///{tmp_path / 'records.db'}")
    held.make()
    yield held
    held.close()


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as connection:
            audit.record(connection, at=NOON, principal="a", action="b", subject="c")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(audit_table)).scalar_one() == 0


def test_one_holder_at_a_time_has_a_lease_and_may_renew_it(database: Database) -> None:
    assert database.lease("detect", "one", now=NOON, seconds=60)
    assert not database.lease("detect", "two", now=NOON, seconds=60)
    assert database.lease("detect", "one", now=NOON + timedelta(seconds=50), seconds=60)
    assert not database.lease("detect", "two", now=NOON + timedelta(seconds=100), seconds=60)
    assert database.lease("detect", "two", now=NOON + timedelta(seconds=111), seconds=60)
    database.release("detect", "two")
    assert database.lease("detect", "one", now=NOON + timedelta(seconds=111), seconds=60)


def test_writers_side_by_side_leave_a_whole_chain(database: Database) -> None:
    def write() -> None:
        for i in range(10):
            with database.write() as connection:
                audit.record(connection, at=NOON, principal="p", action="a", subject=str(i), after={"n": i})

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert audit.broken(connection) is None
        assert connection.execute(sa.select(sa.func.max(audit_table.c.sequence))).scalar_one() == 40


@pytest.mark.parametrize("change", [{"subject": "other"}, {"after": {"n": 9}}, {"principal": "nobody"}])
def test_a_changed_line_of_the_audit_log_is_found(database: Database, change: dict[str, object]) -> None:
    with database.write() as connection:
        for i in range(3):
            audit.record(connection, at=NOON, principal="p", action="a", subject=str(i), after={"n": i})
    with database.write() as connection:
        connection.execute(audit_table.update().where(audit_table.c.sequence == 2).values(**change))
    with database.read() as connection:
        assert audit.broken(connection) == 2


def test_a_line_taken_out_of_the_audit_log_is_found(database: Database) -> None:
    with database.write() as connection:
        for i in range(3):
            audit.record(connection, at=NOON, principal="p", action="a", subject=str(i))
        connection.execute(audit_table.delete().where(audit_table.c.sequence == 2))
        assert audit.broken(connection) == 3


def test_keys_are_kept_hashed_and_end_when_they_expire(database: Database) -> None:
    key = made_key(database, name="edge", roles=["enforcer"], by="t", now=NOON, expires_at=NOON + timedelta(days=1))
    with database.read() as connection:
        kept = connection.execute(sa.select(api_keys)).mappings().one()
    assert key not in str(dict(kept))
    found = principal_of(database, key, now=NOON)
    assert found is not None
    assert found.roles == {"enforcer"}
    assert principal_of(database, key, now=NOON + timedelta(days=1)) is None
    assert principal_of(database, key + "x", now=NOON) is None


def test_moments_come_back_in_utc_with_their_zone(database: Database) -> None:
    made_key(database, name="a", roles=["admin"], by="t", now=NOON)
    with database.read() as connection:
        assert connection.execute(sa.select(api_keys.c.created_at)).scalar_one() == NOON


@pytest.mark.parametrize("url", ["mysql://h/db", "not a url"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Database(url)


def test_a_database_that_is_gone_is_one_clear_error() -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none?connect_timeout=2")
    with pytest.raises(ServiceError, match="does not answer"):
        database.make()
