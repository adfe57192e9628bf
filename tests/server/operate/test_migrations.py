"""The schema: what the steps make is what the tables say, whoever takes them, on SQLite and on PostgreSQL."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests import processes

from stillwatch.errors import ServiceError
from stillwatch.server.database import Database
from stillwatch.server.migrations import current, newest, running
from stillwatch.server.tables import metadata


@pytest.fixture
def url(database_url: str, tmp_path: Path) -> str:
    return database_url or f"sqlite:///{tmp_path / 'records.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    held = Database(url)
    yield held
    held.close()


def revision_of(database: Database) -> str | None:
    with database.read() as connection:
        return current(connection)


def tables_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_the_steps_from_nothing_make_what_the_tables_say(database: Database) -> None:
    assert database.make() is None
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    database.make()
    assert database.make() == newest() == revision_of(database)
    assert tables_of(database) == {*metadata.tables, "alembic_version"}


def make_at_once() -> None:
    """Make the schema as soon as there is a file, as another process does."""
    _, url, go = sys.argv
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    while not Path(go).exists():
        time.sleep(0.001)
    Database(url).make()


def test_processes_that_start_at_once_all_come_up(url: str, database: Database, tmp_path: Path) -> None:
    main = f"{__name__}:make_at_once"
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                processes.started(url, tmp_path / "go", main=main, errors=tmp_path / f"errors-{number}")
            )
            for number in range(2)
        ]
        assert [process.stdout.readline() for process in running] == ["ready\n"] * 2
        (tmp_path / "go").touch()
        codes = [process.wait() for process in running]
    said = [(tmp_path / f"errors-{number}").read_text() for number in range(2)]
    assert (codes, said) == ([0, 0], ["", ""])
    assert revision_of(database) == newest()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    database.make()
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'r9999'"))
    with pytest.raises(ServiceError, match=r"r9999, which this stillwatch does not know .* newer one made it"):
        database.make()
    assert revision_of(database) == "r9999"


def test_a_step_that_fails_leaves_the_database_as_it_was(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.make()
    shutil.copytree(running.HERE, tmp_path / "migrations")
    step = "from alembic import op\nimport sqlalchemy as sa\n"
    step += f"revision, down_revision = 'r9998', '{newest()}'\nbranch_labels = depends_on = None\n"
    step += "def upgrade():\n    op.create_table('half', sa.Column('a', sa.Integer))\n    raise RuntimeError('stop')\n"
    (tmp_path / "migrations" / "versions" / "r9998_fails.py").write_text(step)
    before = revision_of(database)
    monkeypatch.setattr(running, "HERE", tmp_path / "migrations")
    with pytest.raises(RuntimeError, match="stop"):
        database.make()
    assert revision_of(database) == before
    assert "half" not in tables_of(database)


def test_the_command_line_says_where_the_schema_is_and_brings_it_on(run: Callable[..., Any], url: str) -> None:
    done = run("database", "current", "--database", url)
    assert (done.code, done.out) == (1, "none\n")
    assert run("database", "upgrade", "--database", url).out == f"{newest()}\n"
    done = run("database", "current", "--database", url)
    assert (done.code, done.out) == (0, f"{newest()}\n")
