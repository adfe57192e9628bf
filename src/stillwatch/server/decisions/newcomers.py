"""A newcomer that shares a campaign's traits: asked to verify, and no more, until a detection has looked at it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillwatch.server import audit
from stillwatch.server.decisions import ledger
from stillwatch.server.decisions.passes import is_answered
from stillwatch.server.decisions.recommended import NEWCOMER, undone_accounts
from stillwatch.server.tables import decisions


def attach(
    connection: sa.Connection,
    *,
    account_id: str,
    campaign_id: str,
    because: str,
    evidence: Sequence[Any],
    now: datetime,
    expires_at: datetime,
) -> str | None:
    """The id of a new decision to verify; None when the campaign has one about it already, or had and it was answered.

    The account answers by a pass that still protects it, a person by an undo.
    """
    audit.hold(connection)
    if not ledger.can_hold(account_id) or account_id in undone_accounts(connection, [campaign_id]):
        return None
    mine = sa.and_(decisions.c.account_id == account_id, decisions.c.campaign_id == campaign_id)
    standing = sa.and_(mine, decisions.c.state.in_(ledger.OPEN), decisions.c.expires_at > now)
    if connection.execute(sa.select(decisions.c.decision_id).where(standing)).first() is not None:
        return None
    if is_answered(connection, account_id, campaign_id, now=now):
        return None
    decision_id = ledger.new_id()
    row = {
        "decision_id": decision_id,
        "account_id": account_id,
        "campaign_id": campaign_id,
        "action": "verify",
        "check": None,
        "because": because,
        "evidence": {"evidence": list(evidence)},
        "source": NEWCOMER,
        "author": "stillwatch",
        "created_at": now,
        "expires_at": expires_at,
        "approvals_needed": 0,
        "state": "active",
    }
    ledger.insert(connection, [{**row, "changed": ledger.next_change(connection)}])
    told = {"account_id": account_id, "campaign_id": campaign_id, "action": "verify"}
    audit.record(
        connection,
        at=now,
        principal="stillwatch",
        action="decision.attached",
        subject=decision_id,
        after=told,
    )
    return decision_id
