"""When sessions begin: one row per account and minute in which it spoke up after a silence.

Why:    accounts driven by one dispatcher begin work within seconds of one another, at times that no habit explains.
Misses: accounts that never fall silent, and anything within a session.
Source: own; the silence follows the 600-second gap that session logs commonly use.
"""

from stillwatch.engines.base import IbisTable

SILENCE_S = 600  # without an exchange, before the next one begins a session
MINUTE_S = 60


def session_starts(signals: IbisTable) -> IbisTable:
    """One row per account and minute in which a session began: account_id, minute (whole minutes since 1970, UTC)."""
    # Floored first: a cast from seconds with a fraction rounds on one engine and cuts on another.
    second = signals.started_at.epoch_seconds().floor().cast("int64")
    rows = signals.select("account_id", second=second).distinct()
    before = rows.second.lag().over(group_by=rows.account_id, order_by=rows.second)
    timed = rows.mutate(silence=rows.second - before)
    begun = timed.filter(timed.silence.isnull() | (timed.silence > SILENCE_S))
    return begun.select("account_id", minute=(begun.second // MINUTE_S).cast("int64")).distinct()
