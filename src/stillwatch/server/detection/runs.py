"""Detections as SQL keeps them: asked for, due, begun, ended; and the verdicts that go into the next one."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stillwatch import store
from stillwatch.server import audit
from stillwatch.server.settings import DETECTIONS
from stillwatch.server.tables import analyst_verdicts, detections
from stillwatch.state.manifest import MANIFEST

Row = Mapping[str, Any]


def requested(connection: sa.Connection, *, by: str, now: datetime) -> int:
    """The number of a detection that is to run as soon as possible; one that is waiting already is enough."""
    waiting = sa.select(detections.c.number).where(detections.c.outcome == "requested").limit(1)
    number = connection.execute(waiting).scalar()
    if number is not None:
        return int(number)
    inserted = detections.insert().values(requested_by=by, outcome="requested").returning(detections.c.number)
    number = int(connection.execute(inserted).scalar_one())
    audit.record(connection, at=now, principal=by, action="detection.requested", subject=str(number))
    return number


def is_due(connection: sa.Connection, inputs: str, *, now: datetime, every_s: float) -> bool:
    """Whether to detect now: somebody asked for it, or it is time and there is something new since the last that ended.

    A clock that was set back does not stop detections for as long.
    """
    if connection.execute(sa.select(detections.c.number).where(detections.c.outcome == "requested")).first():
        return True
    newest = connection.execute(
        sa.select(detections).where(detections.c.started_at.is_not(None)).order_by(detections.c.number.desc()).limit(1)
    ).first()
    if newest is None:
        return True
    if newest.outcome == "done" and newest.inputs == inputs:
        return False
    return abs(now - newest.started_at) >= timedelta(seconds=every_s)


def begun(connection: sa.Connection, inputs: str, *, now: datetime) -> int:
    """The number of a detection that begins now: the one that was asked for, else a new one.

    Whatever still seems to run has died with its process: only who holds the lease comes here.
    """
    dead = detections.c.outcome == "running"
    connection.execute(detections.update().where(dead).values(outcome="interrupted", ended_at=now))
    values = {"started_at": now, "outcome": "running", "inputs": inputs}
    asked = connection.execute(sa.select(detections.c.number).where(detections.c.outcome == "requested")).scalar()
    if asked is not None:
        connection.execute(detections.update().where(detections.c.number == asked).values(**values))
        return int(asked)
    return int(connection.execute(detections.insert().values(**values).returning(detections.c.number)).scalar_one())


def ended(connection: sa.Connection, number: int, outcome: str, *, now: datetime, **told: Any) -> None:
    """Write how a detection ended."""
    mine = detections.c.number == number
    connection.execute(detections.update().where(mine).values(ended_at=now, outcome=outcome, **told))
    after = {"outcome": outcome, **told}
    audit.record(connection, at=now, principal="detection", action="detection.ended", subject=str(number), after=after)


def newest_done(connection: sa.Connection) -> int | None:
    """The number of the newest detection that ended well; None when there is none."""
    done = sa.select(sa.func.max(detections.c.number)).where(detections.c.outcome == "done")
    number = connection.execute(done).scalar()
    return None if number is None else int(number)


def done_at(connection: sa.Connection) -> datetime | None:
    """When a detection last ended well; None when none has."""
    done = sa.select(sa.func.max(detections.c.ended_at)).where(detections.c.outcome == "done")
    at: datetime | None = connection.execute(done).scalar()
    return at


def failing_since(connection: sa.Connection) -> datetime | None:
    """Since when no detection has ended well, when the newest one that ended did not; else None."""
    finished = detections.c.ended_at.is_not(None)
    newest = sa.select(detections.c.outcome).where(finished).order_by(detections.c.number.desc()).limit(1)
    if connection.execute(newest).scalar() in (None, "done"):
        return None
    first: datetime | None = connection.execute(sa.select(sa.func.min(detections.c.started_at))).scalar()
    return done_at(connection) or first


def inputs_of(connection: sa.Connection, state: Path, policy: str) -> str | None:
    """Names everything the next detection would read: the state, verdicts, accounts, policy. None without a state."""
    try:
        held = (state / MANIFEST).stat()
    except FileNotFoundError:
        return None
    told = {
        "manifest": [held.st_mtime_ns, held.st_size, held.st_ino],
        "verdict": connection.execute(sa.select(sa.func.max(analyst_verdicts.c.number))).scalar(),
        "accounts": _accounts_change(connection),
        "leads": _digest(state / DETECTIONS / store.LEADS),
        "policy": hashlib.sha256(Path(policy).read_bytes()).hexdigest() if policy else None,
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _accounts_change(connection: sa.Connection) -> int | None:
    """The number of the newest change of an account, where accounts count their changes."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("accounts"):
        return None
    if "sequence" not in {column["name"] for column in inspector.get_columns("accounts")}:
        return None
    newest = sa.select(sa.func.max(sa.column("sequence", sa.BigInteger))).select_from(sa.table("accounts"))
    number: int | None = connection.execute(newest).scalar()
    return number


def write_verdicts(connection: sa.Connection, out: Path) -> None:
    """Put the verdicts of the service beside those that stand in the output folder already.

    Raises:
        StoreError: another run holds the folder, or a line there is no verdict.
    """
    rows = [dict(row) for row in connection.execute(sa.select(analyst_verdicts)).mappings()]
    with store.locked(out):
        before = store.read_verdicts(out).to_pylist()
        every = {_name(row): row for row in (*before, *rows)}
        store.write_verdicts(out, [_line(row) for _, row in sorted(every.items(), key=lambda item: item[0])])


def _name(row: Row) -> tuple[str, str, str]:
    return (row["decided_at"].astimezone(UTC).isoformat(), row["subject"], row["author"])


def _line(row: Row) -> dict[str, Any]:
    names = ("subject", "subject_kind", "verdict", "because", "author")
    return {**{name: row[name] for name in names}, "decided_at": row["decided_at"].astimezone(UTC).isoformat()}
