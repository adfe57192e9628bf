"""Signal -> Rollup: mergeable summaries, one file each. Reading partial rollups is a GROUP BY."""

from stillwatch.rollups.activity import activity, merged_activity
from stillwatch.rollups.content import EMBEDDINGS_PER_DAY, chosen, content, day, embedded, sampled, unsampled
from stillwatch.rollups.foreign import Foreign, SeenArtefacts, artefact_bytes, prefixes
from stillwatch.rollups.replays import (
    daily_artefacts,
    exchanged_artefacts,
    handling,
    merged_artefacts,
    replay_traits,
    replays,
    shared_artefacts,
)
from stillwatch.rollups.starts import session_starts, sessions, spans
from stillwatch.rollups.traits import account_traits, appearances, daily_traits, exchange_traits, merged_traits
from stillwatch.rollups.unique import (
    MOST_REPEATED,
    Hashes,
    Numbers,
    SeenNumbers,
    id_hashes,
    repeated_exchanges,
    unique_exchanges,
)

__all__ = [
    "EMBEDDINGS_PER_DAY",
    "MOST_REPEATED",
    "Foreign",
    "Hashes",
    "Numbers",
    "SeenArtefacts",
    "SeenNumbers",
    "account_traits",
    "activity",
    "appearances",
    "artefact_bytes",
    "chosen",
    "content",
    "daily_artefacts",
    "daily_traits",
    "day",
    "embedded",
    "exchange_traits",
    "exchanged_artefacts",
    "handling",
    "id_hashes",
    "merged_activity",
    "merged_artefacts",
    "merged_traits",
    "prefixes",
    "repeated_exchanges",
    "replay_traits",
    "replays",
    "sampled",
    "session_starts",
    "sessions",
    "shared_artefacts",
    "spans",
    "unique_exchanges",
    "unsampled",
]
