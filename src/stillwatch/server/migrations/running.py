"""Bring a database to the schema of this version, once, however many processes start at the same moment.

Everything happens in one transaction that holds a lock: in SQLite the write lock, in PostgreSQL an advisory one. A step
that fails leaves the database as it was.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from stillwatch.errors import ServiceError

HERE = Path(__file__).parent
_LOCK = 0x5711A0D2  # of PostgreSQL, held while the schema changes


def config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration: no file, because everything is here."""
    told = Config()
    told.set_main_option("script_location", str(HERE).replace("%", "%%"))
    told.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    told.attributes["connection"] = connection
    return told


def newest() -> str:
    """The revision this version needs."""
    return str(ScriptDirectory.from_config(config()).get_current_head())


def current(connection: sa.Connection) -> str | None:
    """The revision the database is at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def upgraded(connection: sa.Connection) -> str | None:
    """Bring the database to this version, within the caller's transaction; the revision it was at.

    Raises:
        ServiceError: the database was made by a newer stillwatch.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    before = current(connection)
    if before != newest():
        refuse_newer(before)
        command.upgrade(config(connection), "head")
    return before


def refuse_newer(revision: str | None) -> None:
    """Stop at a revision that is not ours.

    Raises:
        ServiceError: the database was made by a newer stillwatch.
    """
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise ServiceError(
            f"the database is at revision {revision}, which this stillwatch does not know (it ends at {newest()}): a "
            "newer one made it. Use that one, or restore the backup from before the upgrade."
        )
