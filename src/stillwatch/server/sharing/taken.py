"""Which steps were taken against each campaign: what a partner is told beside what was recommended.

Misses: steps that were taken and have ended since, and what was done elsewhere than through this service.
"""

from collections.abc import Collection

import sqlalchemy as sa

from stillwatch.server.tables import brakes, decisions
from stillwatch.sharing.words import COUNTERMEASURES


def taken(connection: sa.Connection, live: Collection[str]) -> dict[str, frozenset[str]]:
    """Actions in force by campaign: approved, named by the settings as `live`, and without a brake.

    A decision in shadow does nothing to anybody, and is none that was taken.
    """
    braked = set(connection.execute(sa.select(brakes.c.action)).scalars())
    acting = sorted((set(live) & COUNTERMEASURES.keys()) - braked)
    in_force = decisions.c.campaign_id.is_not(None) & (decisions.c.state == "active") & decisions.c.action.in_(acting)
    chosen = sa.select(decisions.c.campaign_id, decisions.c.action).where(in_force).distinct()
    found: dict[str, set[str]] = {}
    for campaign_id, action in connection.execute(chosen):
        found.setdefault(campaign_id, set()).add(action)
    return {campaign_id: frozenset(actions) for campaign_id, actions in found.items()}
