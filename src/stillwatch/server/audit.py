"""Append-only audit: every change of a record says who did it, in the same transaction, chained by hashes.

Why:    a decision against a customer must be traceable, and nobody may quietly rewrite who took it.
Misses: whoever can write to the database can rewrite the whole chain; keep the newest hash somewhere else.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from stillwatch.server.tables import audit

FIRST = "0" * 64  # the hash before the first row
_LOCK = 0x5711A0D1  # of PostgreSQL, held by whoever appends until the transaction ends


def hold(connection: sa.Connection) -> None:
    """Take the turn to write records until the transaction ends: what is read from here on cannot change meanwhile.

    Whoever changes records on grounds of what it read holds first. Writers of SQLite hold by writing at all.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def record(
    connection: sa.Connection,
    *,
    at: datetime,
    principal: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> str:
    """Append one act within the caller's transaction; its hash. Values must be what JSON can say."""
    hold(connection)
    newest = connection.execute(
        sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
    ).first()
    row = {
        "sequence": newest.sequence + 1 if newest else 1,
        "at": at,
        "principal": principal,
        "action": action,
        "subject": subject,
        "before": None if before is None else dict(before),
        "after": None if after is None else dict(after),
        "previous_hash": newest.hash if newest else FIRST,
    }
    digest = _hash(row)
    connection.execute(audit.insert().values(**row, hash=digest))
    return digest


def broken(connection: sa.Connection) -> int | None:
    """The sequence of the first row that does not follow from the one before; None when the chain is whole."""
    previous, expected = FIRST, 1
    for row in connection.execute(sa.select(audit).order_by(audit.c.sequence)).mappings():
        if row["sequence"] != expected or row["previous_hash"] != previous or row["hash"] != _hash(dict(row)):
            return int(row["sequence"])
        previous, expected = row["hash"], expected + 1
    return None


def _hash(row: Mapping[str, Any]) -> str:
    told = {
        name: row[name] for name in ("sequence", "principal", "action", "subject", "before", "after", "previous_hash")
    }
    told["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
