"""Live decisions to verify become requests: whoever is asked by a decision is asked for a check that can be passed.

Loops close through tables: this reads what was decided, and decides nothing.
"""

from datetime import datetime

import sqlalchemy as sa

from stillwatch.server.accounts.verifications import OPEN, require
from stillwatch.server.tables import verifications

MOST_AT_ONCE = 500


def ask_as_decided(connection: sa.Connection, decisions: sa.Table, *, default_check: str, now: datetime) -> int:
    """Ask for the check of every active decision to verify that nobody was asked for yet; how many were.

    `default_check` is asked where a decision names none. A decision asks once; an open request serves all, and so does
    a pass since the decision was taken.
    """
    check = sa.func.coalesce(decisions.c.check, default_check)
    is_asked = sa.exists().where(
        verifications.c.account_id == decisions.c.account_id,
        verifications.c.check == check,
        sa.or_(
            verifications.c.decision_id == decisions.c.decision_id,
            verifications.c.state.in_(OPEN),
            (verifications.c.state == "passed") & (verifications.c.decided_at >= decisions.c.created_at),
        ),
    )
    due = (
        sa.select(decisions.c.decision_id, decisions.c.account_id, check.label("check"), decisions.c.because)
        .where(decisions.c.action == "verify", decisions.c.state == "active", decisions.c.expires_at > now, ~is_asked)
        .order_by(decisions.c.decision_id)
        .limit(MOST_AT_ONCE)
    )
    rows = connection.execute(due).all()
    for row in rows:
        require(connection, row.account_id, row.check, row.because, row.decision_id, now)
    return len(rows)
