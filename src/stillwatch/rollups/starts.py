"""When sessions begin: one row per account and minute in which it spoke up after a silence.

Why:    accounts driven by one dispatcher begin work within seconds of one another, at times that no habit explains.
Misses: accounts that never fall silent, and anything within a session.
Source: own; the silence follows the 600-second gap that session logs commonly use.

Starts do not merge: what looks like a start in one part may lie within a session of another. Stretches do. A stretch
begins a session when every stretch that began before it had ended SILENCE_S earlier.
"""

import ibis

from stillwatch.engines.base import IbisTable

SILENCE_S = 600  # without an exchange, before the next one begins a session
MINUTE_S = 60
DAY_S = 86_400


def sessions(signals: IbisTable) -> IbisTable:
    """Stretches of exchanges, cut at midnight so that a window of days can be cut out; as in `records.SESSIONS`."""
    rows = spans(signals)
    day = (rows.first_s // DAY_S).cast("int64")
    within = ibis.window(group_by=[rows.account_id, day], order_by=rows.first_s)
    is_first = (rows.first_s - rows.last_s.lag().over(within) > SILENCE_S).fill_null(True)
    begun = rows.mutate(day=day, is_first=is_first.cast("int64"))
    ordered = ibis.cumulative_window(group_by=[begun.account_id, begun.day], order_by=begun.first_s)
    numbered = begun.mutate(stretch=begun.is_first.sum().over(ordered))
    stretches = numbered.group_by(["account_id", "day", "stretch"])
    found = stretches.aggregate(first_s=numbered.first_s.min(), last_s=numbered.last_s.max())
    return found.select("account_id", "first_s", "last_s")


def spans(signals: IbisTable) -> IbisTable:
    """The first and the last second of each account in every ten minutes of the clock; as in `records.SESSIONS`.

    Nobody falls silent for long enough within one, so spans are stretches too, only more of them. Midnight ends one.
    """
    second = signals.started_at.epoch_seconds().cast("int64")
    rows = signals.select("account_id", second=second, span=(second // SILENCE_S).cast("int64"))
    spoken = rows.group_by(["account_id", "span"]).aggregate(first_s=rows.second.min(), last_s=rows.second.max())
    return spoken.drop("span")


def session_starts(stretches: IbisTable) -> IbisTable:
    """One row per account and minute in which a session began: account_id, minute (whole minutes since 1970, UTC).

    No two of an account begin in one minute: the silence between them is longer.
    """
    before = ibis.window(group_by="account_id", order_by=["first_s", "last_s"], rows=(None, -1))
    timed = stretches.mutate(silence=stretches.first_s - stretches.last_s.max().over(before))
    begun = timed.filter(timed.silence.isnull() | (timed.silence > SILENCE_S))
    return begun.select("account_id", minute=(begun.first_s // MINUTE_S).cast("int64"))
