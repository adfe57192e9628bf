"""What a partner sends: bounded, checked object by object, kept, told to the inbox, and answered by a status.

Everything is done when the answer goes out, so that a status is complete at once (section 4.3). Only the sender may
read it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
import sqlalchemy as sa
from fastapi import Depends, HTTPException, Request

from stillwatch.server import audit
from stillwatch.server.service import Service
from stillwatch.server.tables import taxii_objects, taxii_received, taxii_statuses
from stillwatch.server.taxii.checking import Prepared, Unfit, checked, named
from stillwatch.server.taxii.media import refuse_other_content
from stillwatch.server.taxii.moments import in_us, told, told_version
from stillwatch.server.taxii.partners import Partner
from stillwatch.server.taxii.publishing import SHARED, Kept, put

MOST_CONTENT_BYTES: Final = 8 << 20
MOST_OBJECTS: Final = 1000  # of one request
MOST_OBJECTS_A_DAY: Final = 20_000  # of one partner, whatever became of them
MOST_OBJECTS_HELD: Final = 100_000  # of one partner, in all collections together
_DAY: Final = timedelta(days=1)
_CLOSE: Final = {"Connection": "close"}  # what is left of the content is not read


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that cannot be kept: why, and its id and version where it has such."""

    words: str
    object_id: str | None
    version: str | None


def max_content_bytes(service: Service) -> int:
    """How long a request may be: what TAXII calls max_content_length."""
    return min(MOST_CONTENT_BYTES, service.settings.intake.max_body_bytes)


async def content(request: Request) -> bytes:
    """The body of a request, which comes after its key was looked at: 413 when it is too long, 415 when not TAXII."""
    refuse_other_content(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HTTPException(415, "Content-Encoding: none is taken here.", _CLOSE)
    most = max_content_bytes(request.app.state.service)
    declared = request.headers.get("content-length", "")
    too_long = HTTPException(413, f"Send at most {most} bytes at once.", _CLOSE)
    if declared.isdigit() and int(declared) > most:
        raise too_long
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise too_long
    return bytes(body)


Content = Annotated[bytes, Depends(content)]


def objects_in(body: bytes) -> list[Any]:
    """The objects of an envelope: 422 when it is none, 413 when there are too many."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise HTTPException(422, "The content is no JSON.") from None
    objects = envelope.get("objects") if isinstance(envelope, dict) else None
    if not isinstance(objects, list) or not objects:
        raise HTTPException(422, 'The content is no envelope: {"objects": [...]} with at least one object.')
    if len(objects) > MOST_OBJECTS:
        raise HTTPException(413, f"Send at most {MOST_OBJECTS} objects at once.")
    return objects


def read(objects: Iterable[Any]) -> list[Prepared | Refused]:
    """Each object as it can be kept, or why not; no database is held meanwhile."""
    return [_read(object_) for object_ in objects]


def refuse_flood(connection: sa.Connection, one: Partner, count: int, now: datetime) -> None:
    """429 when a partner sends more than it may in a day, or than it may hold."""
    of_today = (taxii_statuses.c.partner_id == one.partner_id) & (taxii_statuses.c.at > now - _DAY)
    sent = connection.execute(sa.select(sa.func.sum(taxii_statuses.c.objects)).where(of_today)).scalar() or 0
    if sent + count > MOST_OBJECTS_A_DAY:
        raise HTTPException(429, f"Send at most {MOST_OBJECTS_A_DAY} objects a day.", {"Retry-After": "3600"})
    own = sa.select(sa.func.count()).where(taxii_objects.c.posted_by == one.partner_id)
    if connection.execute(own).scalar_one() + count > MOST_OBJECTS_HELD:
        raise HTTPException(429, f"You hold {MOST_OBJECTS_HELD} objects here: delete some.", {"Retry-After": "86400"})


def posted(
    connection: sa.Connection, one: Partner, collection_id: str, objects: Sequence[Prepared | Refused], *, now: datetime
) -> dict[str, Any]:
    """Keep what can be kept, within the caller's transaction; the status of it. 429 when a partner sent too much."""
    audit.hold(connection)
    refuse_flood(connection, one, len(objects), now)
    fit = [(number, object_) for number, object_ in enumerate(objects) if isinstance(object_, Prepared)]
    kept = put(connection, collection_id, [object_ for _, object_ in fit], posted_by=one.partner_id, now=now)
    _hand_on(connection, one, collection_id, [fit[place][1] for place in kept.new], now)
    status = _status(objects, fit, kept, now)
    row = {"partner_id": one.partner_id, "at": now, "objects": len(objects), "document": status}
    connection.execute(taxii_statuses.insert().values(status_id=status["id"], **row))
    after = {"partner": one.partner_id, "kept": len(kept.new), "refused": status["failure_count"]}
    by = f"key:{one.partner_id}"
    audit.record(connection, at=now, principal=by, action="collection.received", subject=collection_id, after=after)
    return status


def status_of(connection: sa.Connection, one: Partner, status_id: str) -> dict[str, Any] | None:
    """The status of that id; None when it is none of the partner's."""
    is_it = (taxii_statuses.c.status_id == status_id) & (taxii_statuses.c.partner_id == one.partner_id)
    found: dict[str, Any] | None = connection.execute(sa.select(taxii_statuses.c.document).where(is_it)).scalar()
    return found


def _read(object_: Any) -> Prepared | Refused:
    try:
        return checked(object_)
    except Unfit as error:
        return Refused(str(error), *named(object_))


def _hand_on(
    connection: sa.Connection, one: Partner, collection_id: str, objects: Sequence[Prepared], now: datetime
) -> None:
    row = {"partner_id": one.partner_id, "collection_id": collection_id, "at": now}
    rows = [{**row, "document": SHARED.get(object_.object_id, object_).document} for object_ in objects]
    if rows:
        connection.execute(taxii_received.insert(), rows)


def _status(
    objects: Sequence[Prepared | Refused], fit: Sequence[tuple[int, Prepared]], kept: Kept, now: datetime
) -> dict[str, Any]:
    moment = told(in_us(now))
    failures = {number: one.words for number, one in enumerate(objects) if isinstance(one, Refused)}
    failures |= {fit[place][0]: words for place, words in kept.refused.items()}
    details = [_detail(one, number, moment) for number, one in enumerate(objects)]
    successes = [detail for number, detail in enumerate(details) if number not in failures]
    status: dict[str, Any] = {
        "id": str(uuid4()),
        "status": "complete",
        "request_timestamp": moment,
        "total_count": len(objects),
        "success_count": len(successes),
        "failure_count": len(failures),
        "pending_count": 0,
    }
    if successes:
        status["successes"] = successes
    if failures:
        status["failures"] = [{**details[number], "message": failures[number]} for number in sorted(failures)]
    return status


def _detail(one: Prepared | Refused, number: int, moment: str) -> dict[str, str]:
    """An object of a status; one whose id cannot be repeated is named by its place."""
    version = moment if one.version is None else told_version(one.version)
    return {"id": one.object_id or f"object {number}", "version": version}
