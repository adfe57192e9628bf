"""Signal -> Rollup: mergeable summaries, one file each. Reading partial rollups is a GROUP BY."""

from stillwatch.rollups.activity import activity
from stillwatch.rollups.starts import session_starts
from stillwatch.rollups.traits import account_traits, exchange_traits
from stillwatch.rollups.unique import repeated_ids, unique_exchanges

__all__ = ["account_traits", "activity", "exchange_traits", "repeated_ids", "session_starts", "unique_exchanges"]
