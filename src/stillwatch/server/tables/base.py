"""What every table shares: the metadata, names of constraints, moments in UTC, and how long its rows are kept.

An account stands in a column `account_id`, or in `subject` beside a `subject_kind` of `account`; a campaign likewise.
Erasure, retention and legal holds go by these names, so that a new table needs no list to be in.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Document = JSON().with_variant(JSONB(), "postgresql")


def kept(setting: str | None, since: str | None = None) -> dict[str, Any]:
    """For the `info` of a table: the value under [retention] that its rows are kept for, and from which column on.

    Null in that column means: not yet to be counted. No setting means that the rows stay.
    """
    return {"retention": setting, "since": since}


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: a timestamp with time zone in PostgreSQL, a text in SQLite.

    Raises:
        ValueError: a moment has no time zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment as the database keeps it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The moment, with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
