"""Figures of several seeds as one point of a curve, with an interval that allows for both accounts and worlds.

Source: Clopper & Pearson (1934), Biometrika 26(4), 404-413 (accounts); Student (1908), Biometrika 6(1), 1-25 (seeds).
    The wider end of the two is taken: accounts of one campaign are found together, so counting them alone is too sure.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from stillwatch.evaluation.measures import CONFIDENCE, Share

from .cells import Figures


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with the ends of its 95 % interval; `low` and `high` are null where one seed alone was measured."""

    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One dose over all seeds; null where there is nothing to divide by."""

    label: str
    recall: Interval | None
    linked_recall: Interval | None
    precision: Interval | None
    linked_precision: Interval | None
    wronged: Share
    linked_wronged: Share
    exposure: Interval | None
    seeds: int


def point(label: str, figures: Sequence[Figures]) -> Point:
    """What the seeds of one dose say together."""
    customers = sum(f.customers for f in figures)
    exposures = [f.exposure for f in figures if f.exposure is not None]
    return Point(
        label=label,
        recall=counted([(f.right, f.hostile) for f in figures]),
        linked_recall=counted([(f.linked_right, f.hostile) for f in figures]),
        precision=counted([(f.right, f.right + f.wrong) for f in figures]),
        linked_precision=counted([(f.linked_right, f.linked_right + f.linked_wrong) for f in figures]),
        wronged=Share(sum(f.wrong for f in figures), customers),
        linked_wronged=Share(sum(f.linked_wrong for f in figures), customers),
        exposure=over_seeds(exposures) if exposures else None,
        seeds=len(figures),
    )


def counted(pairs: Sequence[tuple[int, int]]) -> Interval | None:
    """Hits of a total, seed by seed, as one share; null when every total is 0."""
    pooled = Share(sum(hits for hits, _ in pairs), sum(total for _, total in pairs))
    if pooled.share is None or pooled.low is None or pooled.high is None:
        return None
    between = over_seeds([hits / total for hits, total in pairs if total])
    low = pooled.low if between.low is None else min(pooled.low, between.low)
    high = pooled.high if between.high is None else max(pooled.high, between.high)
    return Interval(pooled.share, low, high)


def over_seeds(shares: Sequence[float]) -> Interval:
    """The mean of what the seeds gave, with Student's interval, cut at 0 and 1."""
    mean = statistics.fmean(shares)
    if len(shares) < 2:
        return Interval(mean, None, None)
    reach = float(student.ppf((1 + CONFIDENCE) / 2, len(shares) - 1)) * statistics.stdev(shares) / len(shares) ** 0.5
    return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach))
