"""Sessions of private matching: opened, answered page by page, and forgotten at the end.

What is kept of a session is our secret and our own side; the partner's points go back as they come. Every page of
theirs is answered once and in order, so that nobody gets more answers than were counted.
"""

import os
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch.errors import SharingError
from stillwatch.server import audit
from stillwatch.server.access import Principal
from stillwatch.server.psi import caps, sets
from stillwatch.server.psi.sealing import opened, sealed
from stillwatch.server.service import Service
from stillwatch.server.tables import psi_sessions
from stillwatch.sharing import identifiers, psi

PAGE_POINTS = 4096
READS = 2  # of each page of ours: once, and once more when the reply was lost
_GONE = "There is no such session of yours, or it has ended. Open another."


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its partner is told of it."""

    session_id: str
    size: int
    own_size: int
    expires_at: datetime
    inputs_left: int


def partner_id(principal: Principal) -> str:
    """The partner that a principal speaks for: the name of its keys, so that several keys of one name count as one."""
    return principal.name.removeprefix("key:")


def open_session(service: Service, principal: Principal, *, kind: str, size: int) -> Session:
    """Open a session in which the partner puts in that many points.

    Raises:
        HTTPException: the size is no bucket's, nothing of that kind is offered, or a limit is reached.
    """
    if psi.bucket(size) != size:
        raise HTTPException(422, f"Fill the set up to {psi.bucket(size):,}: an exact size would tell too much.")
    identifiers.refuse_kind(kind)
    partner = partner_id(principal)
    now, limits = service.now(), service.settings.matching
    with service.database.read() as connection:
        digests = sets.digests_for(connection, service.key, kind=kind, partner=partner, now=now)
    if digests is None:
        raise HTTPException(404, "Nothing of that kind is offered to you.")
    session_id, own, until = secrets.token_hex(16), _shuffled(digests), now + timedelta(seconds=limits.session_s)
    held = sealed(service.key, session_id, psi.secret_of(os.urandom(psi.SECRET_BYTES)) + b"".join(own))
    with service.database.write() as connection:
        audit.hold(connection)
        _refuse_many(connection, partner, limits.open_sessions, now)
        left = _spent(service, connection, partner=partner, count=size, now=now)
        connection.execute(
            psi_sessions.insert().values(
                session_id=session_id,
                partner=partner,
                kind=kind,
                size=size,
                own_size=len(own),
                next_page=0,
                own_reads=0,
                sealed=held,
                opened_at=now,
                expires_at=until,
            )
        )
        told = {"kind": kind, "size": size, "own_size": len(own)}
        audit.record(connection, at=now, principal=principal.name, action="psi.opened", subject=session_id, after=told)
    return Session(session_id, size, len(own), until, left)


def answered(service: Service, principal: Principal, session_id: str, page: int, body: bytes) -> bytes:
    """A page of the partner's points, multiplied by our secret, in order. Points that are none end the session.

    Raises:
        HTTPException: there is no such session, the page does not hold what it must, or was answered already.
        SharingError: the page holds something that is no point.
    """
    with service.database.write() as connection:
        row = _session(service, connection, session_id, principal)
        points = _points(row, page, body)
        turn = psi_sessions.update().where(psi_sessions.c.session_id == session_id, psi_sessions.c.next_page == page)
        if not connection.execute(turn.values(next_page=page + 1)).rowcount:
            raise HTTPException(409, f"Page {row['next_page']} is next; a page is answered once. Open another session.")
    secret = opened(service.key, session_id, row["sealed"])[: psi.SECRET_BYTES]
    try:
        return b"".join(psi.blinded_again(points, secret=secret, threads=service.settings.matching.threads))
    except SharingError:
        ended(service, principal, session_id, action="psi.broken")
        raise


def own_page(service: Service, principal: Principal, session_id: str, page: int) -> bytes:
    """A page of our own points, times our secret.

    Raises:
        HTTPException: there is no such session or page, or it was read too often.
    """
    with service.database.write() as connection:
        row = _session(service, connection, session_id, principal)
        pages = -(-row["own_size"] // PAGE_POINTS)
        if page >= pages:
            raise HTTPException(404, f"There are {pages:,} pages, from 0 on.")
        more = psi_sessions.c.own_reads < READS * pages
        read = psi_sessions.update().where(psi_sessions.c.session_id == session_id, more)
        if not connection.execute(read.values(own_reads=psi_sessions.c.own_reads + 1)).rowcount:
            raise HTTPException(429, "Our points were read too often. Open another session.", {"Retry-After": "60"})
    held = opened(service.key, session_id, row["sealed"])
    secret, first = held[: psi.SECRET_BYTES], psi.SECRET_BYTES + page * PAGE_POINTS * psi.DIGEST_BYTES
    own = held[first : first + PAGE_POINTS * psi.DIGEST_BYTES]
    digests = [own[i : i + psi.DIGEST_BYTES] for i in range(0, len(own), psi.DIGEST_BYTES)]
    threads = service.settings.matching.threads
    return b"".join(psi.blinded(digests, secret=secret, session_id=session_id, threads=threads))


def ended(service: Service, principal: Principal, session_id: str, *, action: str = "psi.finished") -> None:
    """Forget a session; what stays is how much was answered, in the audit log.

    Raises:
        HTTPException: there is no such session.
    """
    with service.database.write() as connection:
        row = _session(service, connection, session_id, principal)
        _forget(connection, row, by=principal.name, action=action, now=service.now())


def expired(connection: sa.Connection, now: datetime) -> int:
    """Forget the sessions whose time is over, within the caller's transaction; how many."""
    rows = connection.execute(sa.select(psi_sessions).where(psi_sessions.c.expires_at <= now)).mappings().all()
    for row in rows:
        _forget(connection, dict(row), by="stillwatch", action="psi.expired", now=now)
    return len(rows)


def _forget(connection: sa.Connection, row: dict[str, Any], *, by: str, action: str, now: datetime) -> None:
    connection.execute(psi_sessions.delete().where(psi_sessions.c.session_id == row["session_id"]))
    told = {
        "kind": row["kind"],
        "answered": min(row["size"], row["next_page"] * PAGE_POINTS),
        "own_reads": row["own_reads"],
    }
    audit.record(connection, at=now, principal=by, action=action, subject=row["session_id"], after=told)


def _session(service: Service, connection: sa.Connection, session_id: str, principal: Principal) -> dict[str, Any]:
    """The session, when it is the partner's and not over."""
    mine = (psi_sessions.c.session_id == session_id) & (psi_sessions.c.partner == partner_id(principal))
    wanted = sa.select(psi_sessions).where(mine, psi_sessions.c.expires_at > service.now())
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise HTTPException(404, _GONE)
    return dict(row)


def _points(row: dict[str, Any], page: int, body: bytes) -> list[bytes]:
    count = min(PAGE_POINTS, row["size"] - page * PAGE_POINTS)
    if count <= 0:
        raise HTTPException(422, f"The session takes {row['size']:,} points, {PAGE_POINTS:,} a page, from page 0 on.")
    if len(body) != count * psi.POINT_BYTES:
        raise HTTPException(422, f"Page {page} holds {count:,} points of {psi.POINT_BYTES} bytes; {len(body):,} came.")
    return psi.points_in(body)


def _refuse_many(connection: sa.Connection, partner: str, most: int, now: datetime) -> None:
    open_ones = (
        sa.select(sa.func.count())
        .select_from(psi_sessions)
        .where(psi_sessions.c.partner == partner, psi_sessions.c.expires_at > now)
    )
    if connection.execute(open_ones).scalar_one() >= most:
        raise HTTPException(429, f"{most} sessions may be open at once. Finish one.", {"Retry-After": "60"})


def _spent(service: Service, connection: sa.Connection, *, partner: str, count: int, now: datetime) -> int:
    limits = service.settings.matching
    try:
        return caps.spend(connection, limits, partner=partner, direction=caps.RECEIVED, count=count, now=now)
    except SharingError as error:
        raise HTTPException(429, str(error), {"Retry-After": str(caps.seconds_to_midnight(now))}) from error


def _shuffled(digests: list[bytes]) -> list[bytes]:
    """Our side as it is given: filled up, in an order that nobody can foresee."""
    draw = random.SystemRandom()
    own = psi.filled(digests, draw)
    draw.shuffle(own)
    return own
