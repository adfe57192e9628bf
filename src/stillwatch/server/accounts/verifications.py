"""Checks asked of an account, as a state machine in the database: every step is along an arrow, and audited.

    required ──▶ pending ──▶ passed
       │            ├──────▶ failed ───┐
       └────────────┴──────▶ expired ──┴─▶ appealed ──▶ passed, failed

A check that nobody took in time is `expired`, which is no failure: it can be appealed, or asked for again. A pass stays
a pass; when a programme wants it renewed, a new row asks for it.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch.records import VERIFICATION_LEVELS
from stillwatch.server import audit
from stillwatch.server.accounts.rows import raised
from stillwatch.server.alerts import tell
from stillwatch.server.decisions import end_answered
from stillwatch.server.tables import verifications

ARROWS = frozenset(
    (
        ("required", "pending"),
        ("required", "expired"),
        ("pending", "passed"),
        ("pending", "failed"),
        ("pending", "expired"),
        ("failed", "appealed"),
        ("expired", "appealed"),
        ("appealed", "passed"),
        ("appealed", "failed"),
    )
)
STATES = ("required", "pending", "passed", "failed", "expired", "appealed")
OPEN = ("required", "pending", "appealed")
DEADLINE_DAYS = 14  # to take a check, from when it is asked for and again from when it is begun
SYSTEM = "stillwatch"  # who acts when a job does
_TOLD = frozenset(("passed", "failed", "expired", "appealed"))
_MOST_AT_ONCE = 500

Row = Mapping[str, Any]


def require(
    connection: sa.Connection,
    account_id: str,
    check: str,
    because: str,
    decision_id: str | None,
    now: datetime,
    *,
    by: str = SYSTEM,
) -> str:
    """Ask an account for a check; the id of the row that asks, which is the open one when there is one already.

    What the same decision asked for before is not asked for twice, whatever became of it.
    """
    audit.hold(connection)
    mine = [verifications.c.account_id == account_id, verifications.c.check == check]
    is_same: sa.ColumnElement[bool] = verifications.c.state.in_(OPEN)
    if decision_id is not None:
        is_same |= verifications.c.decision_id == decision_id
    found = connection.execute(sa.select(verifications.c.verification_id).where(*mine, is_same).limit(1)).scalar()
    if found is not None:
        return str(found)
    return asked(connection, account_id, check, because=because, decision_id=decision_id, by=by, now=now)


def asked(
    connection: sa.Connection,
    account_id: str,
    check: str,
    *,
    because: str,
    by: str,
    now: datetime,
    decision_id: str | None = None,
    programme: tuple[str, int | None] | None = None,
) -> str:
    """A new row that asks for a check, whatever was asked before; `programme` is its name and days until renewal."""
    verification_id = f"ver_{uuid4().hex}"
    name, renew_after_days = programme or (None, None)
    row = {
        "verification_id": verification_id,
        "account_id": account_id,
        "check": check,
        "programme": name,
        "state": "required",
        "asked_because": because[:500],
        "asked_by": by[:200],
        "decision_id": decision_id,
        "created_at": now,
        "deadline_at": now + timedelta(days=DEADLINE_DAYS),
        "renew_after_days": renew_after_days,
    }
    connection.execute(verifications.insert().values(row))
    _recorded(connection, row, None, by=by, now=now)
    _tell(connection, row, now=now)
    return verification_id


def found(connection: sa.Connection, verification_id: str) -> dict[str, Any]:
    """The row of that id.

    Raises:
        HTTPException: 404 when there is none.
    """
    is_id = verification_id.isascii() and verification_id.isprintable()
    wanted = sa.select(verifications).where(verifications.c.verification_id == verification_id)
    row = connection.execute(wanted).mappings().first() if is_id else None
    if row is None:
        raise HTTPException(404, "There is no such verification.")
    return dict(row)


def started(connection: sa.Connection, verification_id: str, *, by: str, now: datetime) -> dict[str, Any]:
    """The check is begun: the row is pending, with a reference that the vendor will quote."""
    deadline_at = now + timedelta(days=DEADLINE_DAYS)
    values = {"reference": secrets.token_urlsafe(24), "started_at": now, "deadline_at": deadline_at}
    return _moved(connection, verification_id, "pending", by=by, now=now, values=values)


def resulted(
    connection: sa.Connection,
    verification_id: str,
    result: str,
    *,
    by: str,
    now: datetime,
    default_check: str,
    because: str | None = None,
    evidence_digest: str | None = None,
) -> dict[str, Any]:
    """The check is over: passed or failed. A pass raises the account's level, and ends the decisions that asked for it.

    `default_check` is what a decision asks for that names no check.
    """
    values: dict[str, Any] = {
        "decided_at": now,
        "decided_by": by[:200],
        "decided_because": because,
        "evidence_digest": evidence_digest,
    }
    before = found(connection, verification_id)
    if result == "passed" and before["renew_after_days"] is not None:
        values["renew_at"] = now + timedelta(days=before["renew_after_days"])
    row = _moved(connection, verification_id, result, by=by, now=now, values=values)
    if result == "passed" and row["check"] in VERIFICATION_LEVELS:
        raised(connection, row["account_id"], row["check"], now=now)
    if result == "passed":
        end_answered(connection, row, default_check=default_check, by=by[:200], now=now)
    return row


def appealed(
    connection: sa.Connection, verification_id: str, *, because: str, by: str, now: datetime
) -> dict[str, Any]:
    """The customer says that the result is wrong, or that time was too short: a person has to look."""
    values = {"appealed_at": now, "appealed_by": by[:200], "appeal_because": because}
    return _moved(connection, verification_id, "appealed", by=by, now=now, values=values)


def expire(connection: sa.Connection, *, now: datetime) -> int:
    """Let what nobody took in time expire; how many did."""
    late = sa.select(verifications.c.verification_id).where(
        verifications.c.state.in_(("required", "pending")), verifications.c.deadline_at <= now
    )
    audit.hold(connection)
    ids = connection.execute(late.limit(_MOST_AT_ONCE)).scalars().all()
    for verification_id in ids:
        _moved(connection, verification_id, "expired", by=SYSTEM, now=now, values={})
    return len(ids)


def renew(connection: sa.Connection, *, now: datetime) -> int:
    """Ask again for what was passed long ago; how many. The pass and the level stay while the new row is open."""
    due = sa.select(verifications).where(
        verifications.c.state == "passed", verifications.c.renew_at <= now, verifications.c.renewed_by.is_(None)
    )
    audit.hold(connection)
    rows = connection.execute(due.limit(_MOST_AT_ONCE)).mappings().all()
    for row in rows:
        renewed_by = asked(
            connection,
            row["account_id"],
            row["check"],
            because=f"The {row['programme']} programme asks again {row['renew_after_days']} days after a pass.",
            by=SYSTEM,
            now=now,
            programme=(row["programme"], row["renew_after_days"]),
        )
        here = verifications.c.verification_id == row["verification_id"]
        connection.execute(verifications.update().where(here).values(renewed_by=renewed_by))
    return len(rows)


def of_accounts(connection: sa.Connection, account_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Every check these accounts were asked for, oldest first, by account."""
    by_account: dict[str, list[dict[str, Any]]] = {account_id: [] for account_id in account_ids}
    for start in range(0, len(account_ids), _MOST_AT_ONCE):
        ids = account_ids[start : start + _MOST_AT_ONCE]
        wanted = sa.select(verifications).where(verifications.c.account_id.in_(ids))
        order = (verifications.c.created_at, verifications.c.verification_id)
        for row in connection.execute(wanted.order_by(*order)).mappings():
            by_account[row["account_id"]].append(dict(row))
    return by_account


def proven(rows: Sequence[Row]) -> str | None:
    """The level of the strongest check among these that was passed; null when none that has a level was."""
    levels = [row["check"] for row in rows if row["state"] == "passed" and row["check"] in VERIFICATION_LEVELS]
    return max(levels, key=VERIFICATION_LEVELS.index, default=None)


def _moved(
    connection: sa.Connection, verification_id: str, to: str, *, by: str, now: datetime, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Take one step; 409 when no arrow leads there from where the row is."""
    audit.hold(connection)
    before = found(connection, verification_id)
    if (before["state"], to) not in ARROWS:
        raise HTTPException(409, f"The verification is {before['state']}; from there no step leads to {to}.")
    here = verifications.c.verification_id == verification_id
    connection.execute(verifications.update().where(here).values(state=to, **values))
    row = {**before, **values, "state": to}
    _recorded(connection, row, before["state"], by=by, now=now)
    if to in _TOLD:
        _tell(connection, row, now=now)
    return row


def _recorded(connection: sa.Connection, row: Row, before: str | None, *, by: str, now: datetime) -> None:
    audit.record(
        connection,
        at=now,
        principal=by,
        action=f"verification.{row['state']}",
        subject=row["verification_id"],
        before=None if before is None else {"state": before},
        after={"state": row["state"], "account_id": row["account_id"], "check": row["check"]},
    )


def _tell(connection: sa.Connection, row: Row, *, now: datetime) -> None:
    names = ("verification_id", "account_id", "check", "programme", "state", "decision_id", "asked_because")
    facts = {**{name: row.get(name) for name in names}, "deadline_at": row["deadline_at"]}
    tell(connection, f"verification.{row['state']}", row["account_id"], facts, now=now)
