"""Model pivots: the moment a cluster moves a large part of its traffic to another model.

Why:    a harvester redirects to a new model within a day of its release, all accounts at once; customers drift.
Misses: pivots spread over weeks; windows shorter than `2 * SPAN_DAYS`.
Source: disclosed in February 2026 (nearly half of one campaign's traffic within 24 hours); see docs/concepts.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

SPAN_DAYS = 2  # days averaged on each side
JUMP = 0.25  # rise of a model's share that counts as a pivot
MIN_EXCHANGES = 20  # exchanges needed on each side


@dataclass(frozen=True, slots=True)
class Pivot:
    """A model's share of traffic over the days before and from `at` on."""

    model: str
    at: date
    share_before: float
    share_after: float


def pivots(days: Sequence[tuple[date, str, int]]) -> list[Pivot]:
    """The largest rise of each model that reaches JUMP; `days` holds day, model, exchanges."""
    dates = sorted({day for day, _, _ in days})
    count: Counter[tuple[date, str]] = Counter()
    sent: Counter[date] = Counter()
    for day, model, exchanges in days:
        count[day, model] += exchanges
        sent[day] += exchanges
    found = []
    for model in sorted({model for _, model, _ in days}):
        rises = [_rise(count, sent, dates, i, model) for i in range(1, len(dates))]
        best = max(
            (rise for rise in rises if rise is not None), key=lambda p: p.share_after - p.share_before, default=None
        )
        if best is not None and best.share_after - best.share_before >= JUMP:
            found.append(best)
    return found


def _rise(
    count: Mapping[tuple[date, str], int], sent: Mapping[date, int], dates: Sequence[date], i: int, model: str
) -> Pivot | None:
    """The model's share on both sides of day i; None when either side has fewer than MIN_EXCHANGES."""
    shares = []
    for side in (dates[max(i - SPAN_DAYS, 0) : i], dates[i : i + SPAN_DAYS]):
        total = sum(sent[day] for day in side)
        if total < MIN_EXCHANGES:
            return None
        shares.append(sum(count.get((day, model), 0) for day in side) / total)
    return Pivot(model, dates[i], round(shares[0], 6), round(shares[1], 6))
