"""Checks that were passed: a pass ends the decisions that asked for it, and keeps detection from asking the same again.

1. The newest result counts: a check that was failed after it was passed protects nobody.
2. Only a pass since the campaign first spoke of the account protects: what was proven before may be why it was bought.
3. A pass protects until it is due for renewal, or PASS_DAYS where no programme renews it. Stronger actions never ask.

Misses: an account that is handed on after its holder passed is asked again only when the pass has lapsed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stillwatch.server import audit
from stillwatch.server.decisions import ledger
from stillwatch.server.tables import decisions, verifications

PASS_DAYS = 180  # the shortest renewal that the built-in policy knows


def end_answered(
    connection: sa.Connection, verification: Mapping[str, Any], *, default_check: str, by: str, now: datetime
) -> int:
    """End the open decisions to verify that a check, now passed, answers; how many.

    `default_check` is what is asked where a decision names no check. Such a decision is given the check that ended it.
    """
    audit.hold(connection)
    verification_id, account_id, check = (verification[name] for name in ("verification_id", "account_id", "check"))
    asked_default = sa.true() if check == default_check else decisions.c.decision_id == verification["decision_id"]
    answered = sa.or_(decisions.c.check == check, decisions.c.check.is_(None) & asked_default)
    open_now = sa.and_(decisions.c.state.in_(ledger.OPEN), decisions.c.expires_at > now)
    mine = sa.and_(decisions.c.account_id == account_id, decisions.c.action == "verify")
    ids = list(connection.execute(sa.select(decisions.c.decision_id).where(mine, open_now, answered)).scalars())
    if not ids:
        return 0
    because = f"The account passed the check ({verification_id})."
    ledger.end(connection, ids, "withdrawn", because=because, by=by, now=now)
    ledger.update(connection, ids, check=check)
    told = {"account_id": account_id, "check": check, "withdrawn": len(ids)}
    told |= {"digest": ledger.digest((one, account_id, "verify", "withdrawn") for one in ids)}
    audit.record(
        connection, at=now, principal=by, action="decisions.answered", subject=verification_id, before=None, after=told
    )
    return len(ids)


def passed_checks(connection: sa.Connection, used: sa.ColumnElement[bool], *, now: datetime) -> dict[str, set[str]]:
    """Checks that accounts passed since the first of the decisions that fit `used`, and that still protect them."""
    first = (
        sa.select(decisions.c.account_id, sa.func.min(decisions.c.created_at).label("at"))
        .where(used)
        .group_by(decisions.c.account_id)
        .subquery()
    )
    since = sa.and_(first.c.account_id == verifications.c.account_id, verifications.c.decided_at >= first.c.at)
    columns = [verifications.c[name] for name in ("account_id", "check", "state", "decided_at", "renew_at")]
    results = sa.select(*columns).join(first, since).order_by(verifications.c.decided_at)
    newest = {(row.account_id, row.check): row for row in connection.execute(results)}
    passed: dict[str, set[str]] = {}
    for (account_id, check), row in newest.items():
        if row.state == "passed" and now < (row.renew_at or row.decided_at + timedelta(days=PASS_DAYS)):
            passed.setdefault(account_id, set()).add(check)
    return passed


def is_answered(connection: sa.Connection, account_id: str, campaign_id: str, *, now: datetime) -> bool:
    """Whether the account has passed what the campaign had it asked for, so that a newcomer is not asked again."""
    mine = sa.and_(decisions.c.account_id == account_id, decisions.c.campaign_id == campaign_id)
    passed = passed_checks(connection, mine, now=now).get(account_id)
    if passed is None:
        return False
    asked_by = verifications.c.decision_id == decisions.c.decision_id
    asked = sa.select(sa.func.coalesce(decisions.c.check, verifications.c.check))
    asked = asked.select_from(decisions.outerjoin(verifications, asked_by)).where(mine, decisions.c.action == "verify")
    return not passed.isdisjoint(connection.execute(asked).scalars())
