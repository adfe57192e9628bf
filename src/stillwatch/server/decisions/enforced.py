"""What was done about the accounts of each campaign: for whoever tells others of it."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from stillwatch.server.tables import approvals, brakes, decisions


@dataclass(frozen=True, slots=True)
class Taken:
    """Accounts of a campaign about which one action was decided: `live` means that gateways are told to act now.

    `mode` is live or shadow. `standing` of the accounts are under it now, for the others it has ended.
    """

    campaign_id: str
    action: str
    mode: str
    accounts: int
    standing: int


def taken(connection: sa.Connection, live: Collection[str]) -> list[Taken]:
    """By campaign and action, in that order; `live` are the actions that the settings switch on, brakes come off.

    The mode is that of now: which actions were live when a decision began is not kept. What was proposed and never had
    the approvals it needs was not taken.
    """
    braked = set(connection.execute(sa.select(brakes.c.action)).scalars())
    columns = decisions.c.campaign_id, decisions.c.action
    given = sa.select(sa.func.count()).where(approvals.c.decision_id == decisions.c.decision_id).scalar_subquery()
    counted = (
        sa.select(
            *columns,
            sa.func.count(sa.distinct(decisions.c.account_id)),
            sa.func.count(sa.distinct(sa.case((decisions.c.state == "active", decisions.c.account_id)))),
        )
        .where(decisions.c.campaign_id.is_not(None), decisions.c.state != "proposed")
        .where(given >= decisions.c.approvals_needed)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [
        Taken(campaign_id, action, "live" if action in live and action not in braked else "shadow", *counts)
        for campaign_id, action, *counts in connection.execute(counted)
    ]
