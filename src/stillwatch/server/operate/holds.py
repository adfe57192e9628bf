"""Legal holds: placed and lifted by an admin; while one is in force nothing of its subject is erased or runs out."""

import secrets
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from stillwatch.errors import InputError
from stillwatch.records import HOLDS, arrow_schema
from stillwatch.server import audit
from stillwatch.server.tables import holds, metadata


def placed(
    connection: sa.Connection,
    *,
    subject: str,
    subject_kind: str,
    because: str,
    until: datetime | None,
    by: str,
    now: datetime,
) -> dict[str, Any]:
    """A new hold. The same subject may be held for several reasons.

    Raises:
        InputError: it would be over already.
    """
    if until is not None and until <= now:
        raise InputError("until lies in the past: give a later moment, or leave it out")
    row = {
        "hold_id": f"hold-{secrets.token_hex(8)}",
        "subject": subject,
        "subject_kind": subject_kind,
        "because": because,
        "placed_by": by,
        "placed_at": now,
        "until": until,
    }
    connection.execute(holds.insert().values(**row))
    told = {"subject_kind": subject_kind, "because": because, "until": None if until is None else until.isoformat()}
    audit.record(
        connection,
        at=now,
        principal=by,
        action="hold.placed",
        subject=subject,
        after={"hold_id": row["hold_id"], **told},
    )
    return {**row, "lifted_by": None, "lifted_at": None}


def lifted(connection: sa.Connection, hold_id: str, *, by: str, now: datetime) -> bool:
    """End a hold; one that is lifted stays so. Whether there is such a hold."""
    row = connection.execute(sa.select(holds).where(holds.c.hold_id == hold_id)).mappings().first()
    if row is None:
        return False
    if row["lifted_at"] is None:
        connection.execute(holds.update().where(holds.c.hold_id == hold_id).values(lifted_by=by, lifted_at=now))
        audit.record(
            connection, at=now, principal=by, action="hold.lifted", subject=row["subject"], before={"hold_id": hold_id}
        )
    return True


def in_force(connection: sa.Connection, now: datetime) -> list[dict[str, Any]]:
    """The holds in force, newest first."""
    is_on = holds.c.lifted_at.is_(None) & (holds.c.until.is_(None) | (holds.c.until > now))
    rows = connection.execute(sa.select(holds).where(is_on).order_by(holds.c.placed_at.desc(), holds.c.hold_id))
    return [dict(row) for row in rows.mappings()]


def held(connection: sa.Connection, now: datetime) -> pa.Table:
    """The accounts that are held, as `records.HOLDS`; those of held campaigns too, by any table that names them."""
    rows = []
    for hold in in_force(connection, now):
        is_account = hold["subject_kind"] == "account"
        until = None if hold["until"] is None else hold["until"].date().isoformat()
        for account_id in [hold["subject"]] if is_account else members(connection, hold["subject"]):
            rows.append({"account_id": account_id, "reason": hold["because"], "until": until})
    return pa.Table.from_pylist(rows, arrow_schema(HOLDS))


def held_campaigns(connection: sa.Connection, now: datetime) -> list[str]:
    """The campaigns that are held."""
    return [hold["subject"] for hold in in_force(connection, now) if hold["subject_kind"] == "campaign"]


def members(connection: sa.Connection, campaign_id: str) -> list[str]:
    """The accounts that any table names beside the campaign."""
    found: set[str] = set()
    for table in metadata.tables.values():
        if {"account_id", "campaign_id"} <= set(table.c.keys()):
            chosen = sa.select(table.c.account_id).where(table.c.campaign_id == campaign_id).distinct()
            found.update(connection.execute(chosen).scalars())
    return sorted(found - {None})
