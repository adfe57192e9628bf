"""Signal -> Rollup: mergeable summaries, one file each. Reading partial rollups is a GROUP BY."""

from stillwatch.rollups.activity import activity, merged_activity
from stillwatch.rollups.content import content, day, sampled
from stillwatch.rollups.replays import daily_artefacts, merged_artefacts, replay_traits, replays
from stillwatch.rollups.starts import session_starts, sessions
from stillwatch.rollups.traits import account_traits, daily_traits, merged_traits
from stillwatch.rollups.unique import MOST_SUSPECTS, SeenIds, id_hashes, repeated_ids, suspects, unique_exchanges

__all__ = [
    "MOST_SUSPECTS",
    "SeenIds",
    "account_traits",
    "activity",
    "content",
    "daily_artefacts",
    "daily_traits",
    "day",
    "id_hashes",
    "merged_activity",
    "merged_artefacts",
    "merged_traits",
    "repeated_ids",
    "replay_traits",
    "replays",
    "sampled",
    "session_starts",
    "sessions",
    "suspects",
    "unique_exchanges",
]
