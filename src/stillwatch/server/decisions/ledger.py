"""Decisions as the database keeps them: bulk writes, each in one transaction with its line of the audit log.

Every function runs in the caller's transaction and holds the turn to write first, so that two of them never decide on
what the other is about to change.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillwatch.server import audit
from stillwatch.server.tables import changes, decisions
from stillwatch.server.tables.decisions import ACCOUNT_ID_CHARACTERS

OPEN = ("proposed", "active")
ID_BYTES = 10
_CHANGED, _DELETED = "decisions", "deleted decisions"  # names in the table of changes
_CHUNK = 2_000  # rows a statement touches; SQLite and PostgreSQL both bound the values of one


def next_change(connection: sa.Connection) -> int:
    """The number of the change this transaction makes: followers read every row that bears a number new to them."""
    audit.hold(connection)
    number = newest_changes(connection)[0] + 1
    _set_number(connection, _CHANGED, number)
    return number


def newest_changes(connection: sa.Connection) -> tuple[int, int]:
    """The numbers of the newest change and of the newest deletion; 0 when there was none."""
    numbers = {row.name: row.number for row in connection.execute(sa.select(changes))}
    return numbers.get(_CHANGED, 0), numbers.get(_DELETED, 0)


def tell_of_deletions(connection: sa.Connection) -> None:
    """Let followers know that rows were deleted, as by an erasure: they compare everything once."""
    _set_number(connection, _DELETED, next_change(connection))


def _set_number(connection: sa.Connection, name: str, number: int) -> None:
    connection.execute(changes.delete().where(changes.c.name == name))
    connection.execute(changes.insert().values(name=name, number=number))


def new_id() -> str:
    """An id for a decision."""
    return secrets.token_hex(ID_BYTES)


def can_hold(account_id: str) -> bool:
    """Whether the database can hold the id: short enough, and without the one character PostgreSQL refuses."""
    return len(account_id) <= ACCOUNT_ID_CHARACTERS and "\0" not in account_id


def insert(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write new decisions."""
    for start in range(0, len(rows), _CHUNK):
        connection.execute(decisions.insert(), [dict(row) for row in rows[start : start + _CHUNK]])


def update(connection: sa.Connection, decision_ids: Collection[str], **values: Any) -> None:
    """Give decisions the same new values."""
    ids = sorted(decision_ids)
    for start in range(0, len(ids), _CHUNK):
        chosen = decisions.c.decision_id.in_(ids[start : start + _CHUNK])
        connection.execute(decisions.update().where(chosen).values(**values))


def end(
    connection: sa.Connection, decision_ids: Collection[str], state: str, *, because: str, by: str, now: datetime
) -> None:
    """End decisions, all for one reason."""
    if not decision_ids:
        return
    ended = {"state": state, "ended_at": now, "ended_by": by, "ended_because": because}
    update(connection, decision_ids, **ended, changed=next_change(connection))


def digest(lines: Iterable[tuple[str, ...]]) -> str:
    """SHA-256 over lines of texts: what one line of the audit log says of thousands of decisions can be proven."""
    whole = hashlib.sha256()
    for line in sorted(lines):
        whole.update("\x1f".join(line).encode() + b"\n")
    return whole.hexdigest()


def expire(connection: sa.Connection, *, now: datetime) -> int:
    """End what has reached its expiry; how many."""
    audit.hold(connection)
    due = sa.and_(decisions.c.state.in_(OPEN), decisions.c.expires_at <= now)
    chosen = connection.execute(sa.select(decisions.c.decision_id, decisions.c.account_id).where(due)).all()
    if not chosen:
        return 0
    connection.execute(
        decisions.update()
        .where(due)
        .values(
            state="expired",
            ended_at=decisions.c.expires_at,
            ended_by="stillwatch",
            ended_because="It reached its expiry.",
            changed=next_change(connection),
        )
    )
    told = {"expired": len(chosen), "digest": digest((*row, "expired") for row in chosen)}
    audit.record(connection, at=now, principal="stillwatch", action="decisions.expired", subject="expiry", after=told)
    return len(chosen)
