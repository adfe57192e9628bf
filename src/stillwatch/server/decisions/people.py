"""What people do about decisions: decide by hand, approve, undo, and look at them.

A person's undo of a campaign's decision ends everything the campaign has decided about that account, and detection does
not bring it back: another person would have to decide by hand.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch.decisions.limits import LEAST_APPROVALS
from stillwatch.server import audit
from stillwatch.server.decisions import ledger
from stillwatch.server.decisions.bodies import ByHand
from stillwatch.server.tables import approvals, decisions

_NOT_TOLD = ("changed",)


def decide(connection: sa.Connection, asked: ByHand, *, author: str, now: datetime) -> str:
    """Decide by hand: active at once, or proposed where other people must agree; its id."""
    needed = LEAST_APPROVALS[asked.action]
    decision_id = ledger.new_id()
    told = {"account_id": asked.account_id, "action": asked.action, "because": asked.because}
    row: dict[str, Any] = {
        **told,
        "decision_id": decision_id,
        "campaign_id": None,
        "check": asked.check,
        "evidence": {},
        "source": "person",
        "author": author,
        "created_at": now,
        "expires_at": now + timedelta(days=asked.expires_after_days),
        "approvals_needed": needed,
        "state": "proposed" if needed else "active",
    }
    ledger.insert(connection, [{**row, "changed": ledger.next_change(connection)}])
    audit.record(connection, at=now, principal=author, action="decision.made", subject=decision_id, after=told)
    return decision_id


def approve(connection: sa.Connection, decision_id: str, *, principal: str, now: datetime) -> int:
    """Approve a proposal; how many became active by it (0 or 1).

    Raises:
        HTTPException: it does not exist, is not proposed (any more), or is not for this person to approve (again).
    """
    audit.hold(connection)
    row = _found(connection, decision_id)
    if row.state != "proposed" or row.expires_at <= now:
        raise HTTPException(409, f"This decision is {'over' if row.state == 'proposed' else row.state}, not proposed.")
    if row.author == principal:
        raise HTTPException(403, "Who decided cannot approve it too: somebody else must.")
    if principal in _approvers(connection, [decision_id]).get(decision_id, {}):
        raise HTTPException(409, "You have approved this decision already: the next approval is somebody else's.")
    return _approved(connection, [row], subject=decision_id, principal=principal, now=now)


def approve_campaign(
    connection: sa.Connection, campaign_id: str, action: str, *, principal: str, now: datetime
) -> tuple[int, int]:
    """Approve what a campaign's accounts are proposed for; how many approvals it made, and how many became active."""
    audit.hold(connection)
    mine = sa.and_(decisions.c.campaign_id == campaign_id, decisions.c.state == "proposed")
    asked = sa.and_(mine, decisions.c.action == action, decisions.c.expires_at > now, decisions.c.author != principal)
    rows = connection.execute(sa.select(decisions).where(asked)).all()
    given = sa.select(approvals.c.decision_id).join(decisions).where(mine, approvals.c.principal == principal)
    done = set(connection.execute(given).scalars())
    rows = [row for row in rows if row.decision_id not in done]
    if not rows:
        return 0, 0
    return len(rows), _approved(connection, rows, subject=campaign_id, principal=principal, now=now)


def undo(connection: sa.Connection, decision_id: str, *, because: str, principal: str, now: datetime) -> int:
    """Undo a decision, and with it whatever else its campaign decided about the account; how many ended.

    Raises:
        HTTPException: it does not exist, or has ended already.
    """
    audit.hold(connection)
    row = _found(connection, decision_id)
    if row.state not in ledger.OPEN or row.expires_at <= now:
        raise HTTPException(409, f"This decision is {'expired' if row.state in ledger.OPEN else row.state} already.")
    ids = [decision_id]
    if row.campaign_id is not None:
        mine = sa.and_(decisions.c.account_id == row.account_id, decisions.c.campaign_id == row.campaign_id)
        ids = _open_ids(connection, mine)
    return _undone(connection, ids, subject=decision_id, because=because, principal=principal, now=now)


def undo_campaign(connection: sa.Connection, campaign_id: str, *, because: str, principal: str, now: datetime) -> int:
    """Undo everything a campaign decided; how many ended."""
    audit.hold(connection)
    ids = _open_ids(connection, decisions.c.campaign_id == campaign_id)
    if not ids:
        return 0
    return _undone(connection, ids, subject=campaign_id, because=because, principal=principal, now=now)


def record_of(connection: sa.Connection, decision_id: str) -> dict[str, Any]:
    """A decision with its approvals.

    Raises:
        HTTPException: it does not exist.
    """
    return _told(connection, [_found(connection, decision_id)])[0]


def records(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], *, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Decisions that fit, newest first, from after one of them; and the id to go on from.

    Raises:
        HTTPException: the decision to go on from does not exist.
    """
    order = (decisions.c.created_at.desc(), decisions.c.decision_id.desc())
    if after is not None:
        last = _found(connection, after)
        earlier = sa.and_(decisions.c.created_at == last.created_at, decisions.c.decision_id < last.decision_id)
        wanted = sa.and_(wanted, sa.or_(decisions.c.created_at < last.created_at, earlier))
    rows = connection.execute(sa.select(decisions).where(wanted).order_by(*order).limit(limit + 1)).all()
    return _told(connection, rows[:limit]), rows[limit - 1].decision_id if len(rows) > limit else None


def _approved(connection: sa.Connection, rows: Sequence[Any], *, subject: str, principal: str, now: datetime) -> int:
    """Note an approval of each; those with enough become active, and end what they were to replace."""
    ids = [row.decision_id for row in rows]
    connection.execute(approvals.insert(), [{"decision_id": one, "principal": principal, "at": now} for one in ids])
    counted = {one: len(people) for one, people in _approvers(connection, ids).items()}
    active = [row for row in rows if counted[row.decision_id] >= row.approvals_needed]
    change = ledger.next_change(connection)
    ledger.update(connection, [row.decision_id for row in active], state="active", changed=change)
    for campaign_id in {row.campaign_id for row in active if row.campaign_id is not None}:
        of_campaign = {row.account_id for row in active if row.campaign_id == campaign_id}
        _replaced(connection, campaign_id, of_campaign, [row.decision_id for row in active], now=now)
    told = {"approved": len(ids), "active": len(active), "digest": ledger.digest((one, "approved") for one in ids)}
    audit.record(connection, at=now, principal=principal, action="decision.approved", subject=subject, after=told)
    return len(active)


def _replaced(
    connection: sa.Connection, campaign_id: str, account_ids: set[str], new_ids: Sequence[str], *, now: datetime
) -> None:
    standing = sa.and_(decisions.c.campaign_id == campaign_id, decisions.c.state == "active")
    new = set(new_ids)
    held = connection.execute(sa.select(decisions.c.decision_id, decisions.c.account_id).where(standing))
    old = [one for one, account_id in held if account_id in account_ids and one not in new]
    ledger.end(connection, old, "replaced", because="The decision to follow it was approved.", by="stillwatch", now=now)


def _undone(
    connection: sa.Connection, ids: Sequence[str], *, subject: str, because: str, principal: str, now: datetime
) -> int:
    ledger.end(connection, ids, "undone", because=because, by=principal, now=now)
    told = {"because": because, "undone": len(ids), "digest": ledger.digest((one, "undone") for one in ids)}
    audit.record(connection, at=now, principal=principal, action="decision.undone", subject=subject, after=told)
    return len(ids)


def _open_ids(connection: sa.Connection, mine: sa.ColumnElement[bool]) -> list[str]:
    chosen = sa.select(decisions.c.decision_id).where(mine, decisions.c.state.in_(ledger.OPEN))
    return list(connection.execute(chosen).scalars())


def _found(connection: sa.Connection, decision_id: str) -> Any:
    row = connection.execute(sa.select(decisions).where(decisions.c.decision_id == decision_id)).first()
    if row is None:
        raise HTTPException(404, "There is no such decision.")
    return row


def _approvers(connection: sa.Connection, decision_ids: Sequence[str]) -> dict[str, dict[str, datetime]]:
    """Who approved each decision, and when."""
    found: dict[str, dict[str, datetime]] = {}
    for start in range(0, len(decision_ids), 2_000):
        asked = approvals.c.decision_id.in_(decision_ids[start : start + 2_000])
        for one in connection.execute(sa.select(approvals).where(asked).order_by(approvals.c.at)):
            found.setdefault(one.decision_id, {})[one.principal] = one.at
    return found


def _told(connection: sa.Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    people = _approvers(connection, [row.decision_id for row in rows])
    return [
        {
            **{name: value for name, value in row._mapping.items() if name not in _NOT_TOLD},
            "approvals": [{"principal": who, "at": at} for who, at in people.get(row.decision_id, {}).items()],
        }
        for row in rows
    ]
