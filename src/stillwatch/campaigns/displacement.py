"""What a stop of accounts achieved: how much of their volume came back through others, and how soon.

Why:    a ban that is made good for within hours has moved a campaign, not ended it.
Misses: accounts that took over long before the stop. Volume is compared as exchanges per day, over all that the last
        run knew of each account; a window that ends soon after the start says little.
Source: own.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stillwatch.campaigns.known import Known, Span
from stillwatch.campaigns.stops import Stop, beginning, begun_after, stop

STOPPED_SHARE = 0.2  # of the accounts that were there, which must stop together: less is turnover
MIN_ACCOUNTS = 5  # that stopped, and that took over: as many as make a cluster
LEAST_DAYS = 1.0  # of the newcomers' activity before their volume can be compared


def displacement(old: Known, new: Known, ended_at: datetime) -> dict[str, Any] | None:
    """How the accounts of `new` made good for those of `old` (the same campaign, or an earlier one) that stopped.

    None when no share of the accounts stopped together, or hardly anybody began after it.
    """
    stopped = stop(old.accounts, ended_at)
    if stopped is None or stopped.share < STOPPED_SHARE or len(stopped.accounts) < MIN_ACCOUNTS:
        return None
    takers = begun_after(stopped.at, new.members, but=stopped.accounts)
    if len(takers) < MIN_ACCOUNTS:
        return None
    began_at = beginning(takers)
    return {
        "from_campaign_id": old.campaign_id,
        "stopped_at": stopped.at.isoformat(),
        "accounts_stopped": len(stopped.accounts),
        "accounts_that_took_over": len(takers),
        "delay_hours": round(max((began_at - stopped.at).total_seconds() / 3600, 0.0), 6),
        "regained_share": _regained(stopped, takers, began_at, ended_at),
    }


def _regained(stopped: Stop, takers: Mapping[str, Span], began_at: datetime, ended_at: datetime) -> float | None:
    """Exchanges per day of those that took over, as a share of those that stopped; null before a day has passed."""
    before, after = _days(beginning(stopped.accounts), stopped.at), _days(began_at, ended_at)
    if after < LEAST_DAYS:
        return None
    return round((_exchanges(takers) / after) / (_exchanges(stopped.accounts) / max(before, LEAST_DAYS)), 6)


def _days(start: datetime, end: datetime) -> float:
    """Days from the start of the first hour to the end of the last."""
    return (end - start + timedelta(hours=1)).total_seconds() / 86_400


def _exchanges(spans: Mapping[str, Span]) -> int:
    return sum(span.exchanges for span in spans.values())
