"""The job that sends what is queued: at least once, with the same id each time, for up to a day.

    1. A message that is new gets one delivery per target that wants its kind.
    2. Every delivery that is due is tried, target by target, oldest first.
    3. One that fails waits twice as long each time, and some random time less, so that many do not come back at once.
    4. After a day it is dead: reported, kept, and no longer tried until an administrator says so.

A target that does not answer holds back its other messages for this turn only; one refused message does not.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from stillwatch.server.alerts.addresses import AddressError
from stillwatch.server.alerts.mailing import MailError, send_mail
from stillwatch.server.alerts.posting import PostError, post
from stillwatch.server.alerts.targets import HookTarget, Target
from stillwatch.server.service import Service
from stillwatch.server.tables import deliveries, outbox

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 6 * 3600.0
GIVE_UP_AFTER = timedelta(days=1)
KEPT = timedelta(days=30)
MOST_AT_ONCE = 500
CONTENT_TYPE = "application/cloudevents+json"
_RANDOM = random.SystemRandom()
_GONE = 410  # a receiver that wants nothing any more
_TRY_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt: sent, or why not; whether trying again is hopeless; whether the target is there."""

    is_sent: bool
    because: str | None = None
    is_hopeless: bool = False
    is_there: bool = True


def deliver(service: Service, targets: Sequence[Target]) -> None:
    """One turn: route what is new, then try what is due."""
    _route(service, targets)
    _forget(service)
    for target in targets:
        for message in _due(service, target):
            outcome = _attempt(service, target, message)
            _note(service, message, outcome)
            if not outcome.is_there:
                break


def cloud_event(message: Mapping[str, Any]) -> bytes:
    """The message as CloudEvents 1.0, structured JSON."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": message["message_id"],
            "source": "urn:stillwatch",
            "type": f"stillwatch.{message['kind']}",
            "subject": message["subject"],
            "time": message["at"],
            "datacontenttype": "application/json",
            "data": message["facts"],
        }
    )


def wait_s(attempts: int) -> float:
    """How long to wait after so many attempts: between half and all of what doubles each time."""
    longest = min(FIRST_WAIT_S * 2.0 ** min(attempts - 1, 30), LONGEST_WAIT_S)
    return longest * _RANDOM.uniform(0.5, 1.0)


def _route(service: Service, targets: Sequence[Target]) -> None:
    with service.database.write() as connection:
        new = connection.execute(
            sa.select(outbox.c.message_id, outbox.c.kind, outbox.c.at)
            .where(sa.not_(outbox.c.is_routed))
            .order_by(outbox.c.at)
            .limit(MOST_AT_ONCE)
        ).all()
        rows = [_delivery(message, target) for message in new for target in targets if message.kind in target.kinds]
        if rows:
            connection.execute(deliveries.insert(), rows)
        if new:
            ids = [message.message_id for message in new]
            connection.execute(outbox.update().where(outbox.c.message_id.in_(ids)).values(is_routed=True))


def _forget(service: Service) -> None:
    """Messages that are old, sent or not: nobody needs them, and they name accounts."""
    with service.database.write() as connection:
        connection.execute(outbox.delete().where(outbox.c.at < service.now() - KEPT))


def _delivery(message: Any, target: Target) -> dict[str, Any]:
    order = int(message.at.timestamp() * 1e6)
    row = {"message_id": message.message_id, "target_id": target.target_id, "target": target.name, "order": order}
    return {**row, "state": "waiting", "attempts": 0, "next_at": message.at}


def _due(service: Service, target: Target) -> list[dict[str, Any]]:
    now = service.now()
    with service.database.read() as connection:
        rows = connection.execute(
            sa.select(deliveries, outbox.c.kind, outbox.c.subject, outbox.c.facts, outbox.c.at)
            .join(outbox, outbox.c.message_id == deliveries.c.message_id)
            .where(deliveries.c.target_id == target.target_id)
            .where(deliveries.c.state == "waiting", deliveries.c.next_at <= now)
            .order_by(deliveries.c.order)
            .limit(MOST_AT_ONCE)
        ).mappings()
        return [dict(row) for row in rows]


def _attempt(service: Service, target: Target, message: Mapping[str, Any]) -> Outcome:
    try:
        if not isinstance(target, HookTarget):
            send_mail(target, message)
            return Outcome(True)
        return _posted(service, target, message)
    except (PostError, MailError, AddressError) as error:
        return Outcome(False, str(error), is_there=False)


def _posted(service: Service, target: HookTarget, message: Mapping[str, Any]) -> Outcome:
    now, body = service.now(), cloud_event(message)
    headers = {
        "content-type": CONTENT_TYPE,
        "user-agent": "stillwatch",
        "webhook-id": message["message_id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": target.signer.sign(message["message_id"], now, body.decode()),
    }
    status = post(target.url, body, headers, allow_private=service.settings.alerts.allow_private_addresses)
    if 200 <= status < 300:
        return Outcome(True)
    is_there = 300 <= status < 500 and status not in _TRY_LATER
    return Outcome(False, f"answered {status}", is_hopeless=status == _GONE, is_there=is_there)


def _note(service: Service, message: Mapping[str, Any], outcome: Outcome) -> None:
    now, attempts = service.now(), message["attempts"] + 1
    first_at = message["first_at"] or now
    values: dict[str, Any] = {"attempts": attempts, "first_at": first_at, "because": outcome.because}
    next_at = now + timedelta(seconds=wait_s(attempts))
    if outcome.is_sent:
        values |= {"state": "sent", "sent_at": now}
    elif outcome.is_hopeless or next_at >= first_at + GIVE_UP_AFTER:
        values |= {"state": "dead"}
        service.log.error(
            "delivery_dead",
            message_id=message["message_id"],
            kind=message["kind"],
            target=message["target"],
            attempts=attempts,
            reason=outcome.because,
        )
    else:
        values |= {"next_at": next_at}
    with service.database.write() as connection:
        connection.execute(_row(message).values(**values))


def _row(message: Mapping[str, Any]) -> sa.Update:
    return deliveries.update().where(
        deliveries.c.message_id == message["message_id"], deliveries.c.target_id == message["target_id"]
    )


def revived(connection: sa.Connection, message_id: str, target_id: str, *, now: datetime) -> bool:
    """Try a dead delivery again, for another day; whether there was one."""
    done = connection.execute(
        _row({"message_id": message_id, "target_id": target_id})
        .where(deliveries.c.state == "dead")
        .values(state="waiting", attempts=0, first_at=None, next_at=now)
    )
    return bool(done.rowcount)
