"""The schema: what the steps make is what the tables say, whoever takes them, on SQLite and on PostgreSQL."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

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


def test_processes_that_start_at_once_all_come_up(url: str, database: Database) -> None:
    code = (
        "import sys; from stillwatch.server.database import Database; sys.stdin.read(1); Database(sys.argv[1]).make()"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    ended = [(process.communicate()[1], process.returncode) for process in started]
    assert ended == [("", 0)] * 2
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
