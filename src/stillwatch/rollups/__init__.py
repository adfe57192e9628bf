"""Signal -> Rollup: mergeable summaries, one file each. Reading partial rollups is a GROUP BY."""

from stillwatch.rollups.activity import activity
from stillwatch.rollups.replays import artefacts, merged_artefacts, replay_traits, replays
from stillwatch.rollups.starts import session_starts
from stillwatch.rollups.traits import account_traits, exchange_traits
from stillwatch.rollups.unique import MOST_SUSPECTS, SeenIds, id_hashes, repeated_ids, suspects, unique_exchanges

__all__ = [
    "MOST_SUSPECTS",
    "SeenIds",
    "account_traits",
    "activity",
    "artefacts",
    "exchange_traits",
    "id_hashes",
    "merged_artefacts",
    "repeated_ids",
    "replay_traits",
    "replays",
    "session_starts",
    "suspects",
    "unique_exchanges",
]
