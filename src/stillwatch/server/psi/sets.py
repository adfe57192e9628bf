"""Sets of identifiers that partners may match against: digests, sealed; the identifiers themselves are not kept."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stillwatch import ingest
from stillwatch.errors import SharingError
from stillwatch.ingest.keys import normalised
from stillwatch.server import audit
from stillwatch.server.database import Database
from stillwatch.server.psi.sealing import opened, sealed
from stillwatch.server.settings import Matching
from stillwatch.server.tables import psi_sets
from stillwatch.sharing import identifiers, psi

MOST_SETS = 50
_TOLD = [column for column in psi_sets.c if column.name != "sealed"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered to partners: of which kind, what, to whom (null: every partner), and for how many days."""

    kind: str
    values: Sequence[str]
    partners: Sequence[str] | None = None
    days: int = 30
    skip_refused: bool = False


def offered(
    database: Database, key: ingest.Key, limits: Matching, offer: Offer, *, by: str, now: datetime
) -> dict[str, Any]:
    """Keep a set; what is told of it, with how many identifiers were left out.

    Raises:
        SharingError: identifiers are refused, there are none or too many of them, or there are too many sets.
    """
    found = identifiers.prepared(offer.kind, offer.values, normalised, skip_refused=offer.skip_refused)
    if not 1 <= len(found.positions) <= limits.most_offered:
        raise SharingError(f"a set holds 1 to {limits.most_offered:,} identifiers; this has {len(found.positions):,}.")
    set_id = secrets.token_hex(16)
    digests = b"".join(sorted(psi.digest(offer.kind, one) for one in found.positions))
    row = {
        "set_id": set_id,
        "kind": offer.kind,
        "partners": None if offer.partners is None else sorted(set(offer.partners)),
        "size": len(found.positions),
        "offered_by": by,
        "offered_at": now,
        "expires_at": now + timedelta(days=offer.days),
    }
    kept = sealed(key, set_id, digests)
    told = {name: row[name] for name in ("kind", "partners", "size")} | {"refused": len(found.refused)}
    with database.write() as connection:  # held as short as can be: everybody else waits
        audit.hold(connection)
        if connection.execute(sa.select(sa.func.count()).select_from(psi_sets)).scalar_one() >= MOST_SETS:
            raise SharingError(f"there are {MOST_SETS} sets. Withdraw one first.")
        connection.execute(psi_sets.insert().values(**row, sealed=kept))
        audit.record(connection, at=now, principal=by, action="psi.offered", subject=set_id, after=told)
    return {**row, "refused": len(found.refused)}


def listed(connection: sa.Connection, now: datetime) -> list[dict[str, Any]]:
    """The sets that are offered, newest first; never what is in them."""
    wanted = sa.select(*_TOLD).where(psi_sets.c.expires_at > now).order_by(psi_sets.c.offered_at.desc())
    return [dict(row) for row in connection.execute(wanted).mappings()]


def withdrawn(connection: sa.Connection, set_id: str, *, by: str, now: datetime) -> bool:
    """Take a set away, within the caller's transaction; whether it was there. Sessions that run go on."""
    if not connection.execute(psi_sets.delete().where(psi_sets.c.set_id == set_id)).rowcount:
        return False
    audit.record(connection, at=now, principal=by, action="psi.withdrawn", subject=set_id)
    return True


def digests_for(
    connection: sa.Connection, key: ingest.Key, *, kind: str, partner: str, now: datetime
) -> list[bytes] | None:
    """The digests of the newest set of that kind that is offered to the partner; null when there is none."""
    wanted = (
        sa.select(psi_sets)
        .where(psi_sets.c.kind == kind, psi_sets.c.expires_at > now)
        .order_by(psi_sets.c.offered_at.desc(), psi_sets.c.set_id)
    )
    for row in connection.execute(wanted).mappings():
        if row["partners"] is None or partner in row["partners"]:
            held = opened(key, row["set_id"], row["sealed"])
            return [held[i : i + psi.DIGEST_BYTES] for i in range(0, len(held), psi.DIGEST_BYTES)]
    return None


def expired(connection: sa.Connection, now: datetime) -> int:
    """Remove the sets whose time is over, within the caller's transaction; how many."""
    return connection.execute(psi_sets.delete().where(psi_sets.c.expires_at <= now)).rowcount
