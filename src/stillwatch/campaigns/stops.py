"""The moment at which many accounts of a campaign fell silent, and who began after it.

Why:    a ban shows in the logs as accounts that stop together; what comes next is a successor, or nothing.
Misses: bans of a few accounts at a time; whether accounts were banned or left by themselves, which logs do not say; the
        last day of the window, in which silence may still be a pause.
Source: own. Accounts count, not their exchanges: one busy account that goes on must not hide a ban of forty.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stillwatch.campaigns.known import Span

QUIET = timedelta(hours=24)  # silence at the end of the window that counts as a stop; also the overlap allowed
TOGETHER = timedelta(hours=72)  # accounts last seen within this time stopped together: many rest on some days
FOLLOWS = timedelta(days=14)  # accounts that begin later than this did not replace anybody
EARLIEST_SHARE = 0.05  # of the accounts that began, which are left out: one straggler must not date a start


@dataclass(frozen=True, slots=True)
class Stop:
    """The accounts that fell silent together, the start of the last hour in which any was seen, and their share.

    `share` is of the accounts that had begun by then.
    """

    accounts: Mapping[str, Span]
    at: datetime
    share: float


def stop(accounts: Mapping[str, Span], ended_at: datetime) -> Stop | None:
    """The three days in which most accounts fell silent; None when nobody did."""
    quiet = {name: span for name, span in accounts.items() if span.last_seen_at < ended_at - QUIET}
    silent = sorted((span.last_seen_at, name) for name, span in quiet.items())
    best, start = (0, 0), 0
    for end, (moment, _) in enumerate(silent, start=1):
        while silent[start][0] <= moment - TOGETHER:
            start += 1
        if end - start > best[1] - best[0]:
            best = (start, end)
    chosen = silent[slice(*best)]
    if not chosen:
        return None
    at = chosen[-1][0]
    there = sum(span.first_seen_at <= at for span in accounts.values())
    return Stop({name: accounts[name] for _, name in chosen}, at, len(chosen) / there)


def begun_after(at: datetime, accounts: Mapping[str, Span], *, but: Iterable[str]) -> dict[str, Span]:
    """The accounts that began from a day before that moment to FOLLOWS after it, `but` left out."""
    left_out = set(but)
    return {
        name: span
        for name, span in accounts.items()
        if name not in left_out and at - QUIET <= span.first_seen_at <= at + FOLLOWS
    }


def begun_then(at: datetime, moments: Sequence[datetime]) -> int:
    """How many of the sorted `moments` lie where `begun_after` looks."""
    return bisect_right(moments, at + FOLLOWS) - bisect_left(moments, at - QUIET)


def beginning(accounts: Mapping[str, Span]) -> datetime:
    """When the accounts began, a few stragglers left out; there must be one at least."""
    moments = sorted(span.first_seen_at for span in accounts.values())
    return moments[int(len(moments) * EARLIEST_SHARE)]
