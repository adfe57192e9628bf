"""Results of checks, sent in by whoever made them: signed as Standard Webhooks say, taken in once.

Why:    whoever could forge a result could pass any check in anybody's name.
Misses: a vendor that is wrong, or was taken over; rotate its secret, and appeal.
Source: Standard Webhooks specification, https://www.standardwebhooks.com (symmetric signatures, v1).
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from fastapi import HTTPException
from standardwebhooks import Webhook

from stillwatch.server import audit
from stillwatch.server.accounts.bodies import optional_text, read_json, text_of
from stillwatch.server.accounts.verifications import found, resulted
from stillwatch.server.alerts.credentials import credential
from stillwatch.server.alerts.targets import signer
from stillwatch.server.settings import Verifying
from stillwatch.server.tables import verifications, webhook_receipts

TOLERANCE_S = 300  # between the sender's clock and ours
RECEIPTS_KEPT = timedelta(days=30)  # a sender may repeat an id for days, each time with a new timestamp
_RESULTS = {"verification.passed": "passed", "verification.failed": "failed"}
_MOST_SIGNATURES = 16
_MOST_DIGITS = 12  # of a timestamp in seconds


@dataclass(frozen=True, slots=True)
class Result:
    """What a webhook says: the vendor's reference, the result, and what it rests on."""

    webhook_id: str
    reference: str
    result: str
    because: str | None
    evidence_digest: str | None


def verifiers(settings: Verifying) -> tuple[Webhook, ...]:
    """What checks signatures, one per secret, so that a new secret can be taken up before the old one goes.

    Raises:
        SettingsError: a secret cannot be used.
    """
    where = "[verification] webhook_secrets"
    return tuple(signer(credential(told, where), where) for told in settings.webhook_secrets)


def signed_result(body: bytes, headers: Mapping[str, str], by: Sequence[Webhook], *, now: datetime) -> Result:
    """The result that a body tells, when one of the secrets signed it within the tolerance.

    Raises:
        HTTPException: 401 when it is not signed, too old or too new; 400 or 422 when it is signed and says nothing.
    """
    webhook_id = headers.get("webhook-id", "")
    if not _is_signed(body, webhook_id, headers, by, now):
        raise HTTPException(401, "The webhook is not signed with a secret of ours, or its clock is minutes off.")
    told = read_json(body)
    result = _RESULTS.get(text_of(told, "type", most_chars=100))
    if result is None:
        raise HTTPException(422, f"type: give one of {', '.join(_RESULTS)}.")
    data = told.get("data")
    return Result(
        webhook_id,
        text_of(data, "reference", most_chars=64),
        result,
        optional_text(data, "because"),
        optional_text(data, "evidence_digest", most_chars=128),
    )


def taken_in(connection: sa.Connection, told: Result, *, by: str, now: datetime, default_check: str) -> dict[str, Any]:
    """Do what the webhook says, once: the row as it stands, which the same id again does not change.

    Raises:
        HTTPException: 404 when we gave no such reference, 409 when no step leads to the result.
    """
    audit.hold(connection)
    seen = sa.select(webhook_receipts.c.verification_id).where(webhook_receipts.c.webhook_id == told.webhook_id)
    verification_id = connection.execute(seen).scalar()
    if verification_id is not None:
        return found(connection, verification_id)
    mine = sa.select(verifications.c.verification_id).where(verifications.c.reference == told.reference)
    verification_id = connection.execute(mine).scalar()
    if verification_id is None:
        raise HTTPException(404, "There is no verification of that reference.")
    row = resulted(
        connection,
        verification_id,
        told.result,
        by=by,
        now=now,
        default_check=default_check,
        because=told.because,
        evidence_digest=told.evidence_digest,
    )
    receipt = {"webhook_id": told.webhook_id, "verification_id": verification_id, "received_at": now}
    connection.execute(webhook_receipts.insert().values(receipt))
    return row


def forget_receipts(connection: sa.Connection, *, now: datetime) -> None:
    """Forget ids that no sender repeats any more."""
    connection.execute(webhook_receipts.delete().where(webhook_receipts.c.received_at < now - RECEIPTS_KEPT))


def _is_signed(body: bytes, webhook_id: str, headers: Mapping[str, str], by: Sequence[Webhook], now: datetime) -> bool:
    stamp, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    is_stamp = stamp.isascii() and stamp.isdecimal() and len(stamp) <= _MOST_DIGITS
    is_id = 0 < len(webhook_id) <= 200 and webhook_id.isascii() and webhook_id.isprintable()
    if not is_stamp or not is_id or abs(int(stamp) - now.timestamp()) > TOLERANCE_S:
        return False
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    moment = datetime.fromtimestamp(int(stamp), UTC)
    right = [one.sign(webhook_id, moment, text).encode() for one in by]
    found_one = False
    for signature in given.split(" ")[:_MOST_SIGNATURES]:
        for wanted in right:  # every one is compared, so that the time tells nothing
            found_one |= hmac.compare_digest(signature.encode(), wanted)
    return found_one
