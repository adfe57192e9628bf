"""Which steps were taken against each campaign: what a partner is told beside what was recommended.

Misses: steps that were taken and have ended since, and what was done elsewhere than through this service.
"""

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from stillwatch.server import decisions
from stillwatch.sharing.words import COUNTERMEASURES


def taken(connection: sa.Connection, live: Collection[str]) -> dict[str, frozenset[str]]:
    """Actions in force by campaign: approved, named by the settings as `live`, and without a brake.

    A decision in shadow does nothing to anybody, and is none that was taken.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in decisions.taken(connection, live):
        if one.mode == "live" and one.standing and one.action in COUNTERMEASURES:
            found[one.campaign_id].add(one.action)
    return {campaign_id: frozenset(actions) for campaign_id, actions in found.items()}
