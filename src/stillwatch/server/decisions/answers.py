"""How many lookups of one account were answered, with what, and how long that took; read when metrics are.

The answers that are given as their bytes arrive are counted by the one thread that gives them, in plain numbers: one
addition for each answer, at a place that stands beside its bytes, and the clock for one read in `TIMED_ONE_IN`. A
counter with a lock and labels would cost a tenth of the answer.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from stillwatch.server import metrics
from stillwatch.server.decisions.parts import TOLD

BOUNDS_S = (0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.025)
TIMED_ONE_IN = 16  # reads of the fast path; often enough for a histogram


def _nowhere() -> list[int]:
    return [0] * len(TOLD)


@dataclass(slots=True, eq=False)
class Answers:
    """Counts of this process, at the places of `TOLD`."""

    fast: list[int] = field(default_factory=_nowhere)  # touched by the thread of the event loop only
    reads: int = 0  # of bytes that held a lookup; by that thread too, as are the two below
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0
    _others: list[int] = field(default_factory=_nowhere)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, count: int, seconds: float) -> None:
        """So many fast answers of a read that is timed, which came together, took so long each."""
        self.seconds[bisect_left(BOUNDS_S, seconds)] += count
        self.total_s += count * seconds

    def note(self, place: int) -> None:
        """An answer of the route, given by any thread."""
        with self._lock:
            self._others[place] += 1

    def collect(self) -> Iterator[Metric]:
        """For Prometheus."""
        counted = CounterMetricFamily(
            "stillwatch_decision_answers", "Lookups of one account, by what was told.", labels=["action", "shadow"]
        )
        for told, fast, others in zip(TOLD, self.fast, self._others, strict=True):
            if fast + others:
                counted.add_metric(told, fast + others)
        yield counted
        yield HistogramMetricFamily(
            "stillwatch_decision_seconds",
            f"From the bytes of a lookup to those of its answer, on the fast path; of one read in {TIMED_ONE_IN}.",
            buckets=_buckets(self.seconds),
            sum_value=self.total_s,
        )


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Counts at most so long, as Prometheus has them."""
    return [(str(bound), sum(counts[: place + 1])) for place, bound in enumerate((*BOUNDS_S, "+Inf"))]


ANSWERS = Answers()
metrics.REGISTRY.register(ANSWERS)
