"""All exchanges of accounts, as few rows as what is asked of them allows.

Why:    usage, days and attempts are sums. Where no prompt was logged, exchanges of one account, hour and model differ
        in nothing that these sums read, and the activity rollup has them added up already, a tenth of the rows.
Misses: nothing; the sums are the same.
Source: own.
"""

from collections.abc import Collection

import ibis

from stillwatch.engines.base import IbisTable

PROMPTED = ("text_id", "script", "intents", "embedding")  # what these sums read of prompts


def traffic(exchanges: IbisTable, activity: IbisTable, columns: Collection[str]) -> IbisTable:
    """The exchanges with their templates, or the activity in their place where no prompt was logged.

    `columns` are the signals that hold anything; none: nobody looked. The activity has neither intents nor embeddings.
    """
    if not columns or any(name in columns for name in PROMPTED):
        return exchanges
    nulls = {name: ibis.null(exchanges[name].type()) for name in ("item_id", "script")}
    return activity.mutate(started_at=activity.hour_at, **nulls)


def exchange_count(rows: IbisTable) -> IbisTable:
    """How many exchanges some rows stand for: one each, or as many as they say."""
    return ibis._.exchanges.sum() if "exchanges" in rows.columns else ibis._.count()
