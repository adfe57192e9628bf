"""How many lookups of one account were answered, with what, and how long that took; read when metrics are.

The answers that are given as their bytes arrive are counted by the one thread that gives them, in plain numbers: a
counter with a lock and labels would cost a tenth of the answer.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from stillwatch.server import metrics
from stillwatch.server.decisions.parts import Choice

BOUNDS_S = (0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.025)

Told = tuple[str, str]  # the action that is told, and the one in shadow; none where there is none


def told(choice: Choice | None) -> Told:
    """What an answer tells to do."""
    return (choice.action, choice.shadow or "none") if choice else ("none", "none")


@dataclass(slots=True, eq=False)
class Answers:
    """Counts of this process."""

    fast: Counter[Told] = field(default_factory=Counter)  # touched by the thread of the event loop only
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0
    _others: Counter[Told] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, count: int, seconds: float) -> None:
        """So many fast answers, which came together, took so long each."""
        self.seconds[bisect_left(BOUNDS_S, seconds)] += count
        self.total_s += count * seconds

    def note(self, choice: Choice | None) -> None:
        """An answer of the route, given by any thread."""
        with self._lock:
            self._others[told(choice)] += 1

    def collect(self) -> Iterator[Metric]:
        """For Prometheus."""
        counted = CounterMetricFamily(
            "stillwatch_decision_answers", "Lookups of one account, by what was told.", labels=["action", "shadow"]
        )
        with self._lock:
            counts = self.fast.copy() + self._others
        for labels, count in sorted(counts.items()):
            counted.add_metric(labels, count)
        yield counted
        yield HistogramMetricFamily(
            "stillwatch_decision_seconds",
            "From the bytes of a lookup to those of its answer, on the fast path.",
            buckets=_buckets(self.seconds),
            sum_value=self.total_s,
        )


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Counts at most so long, as Prometheus has them."""
    return [(str(bound), sum(counts[: place + 1])) for place, bound in enumerate((*BOUNDS_S, "+Inf"))]


ANSWERS = Answers()
metrics.REGISTRY.register(ANSWERS)
