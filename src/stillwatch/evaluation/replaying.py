"""Accounts of a campaign that have reasoning artefacts decoded: first a small sweep of forms, then the one that works.

Why:    disclosed campaigns tried thousands of ways to obtain hidden reasoning, most of them refused, and scaled the
        rest; among them artefacts replayed from other conversations and other people's accounts.
Misses: how many forms a real sweep has per account, and how often a provider refuses: not disclosed; ours are below.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.people import DAY_S, Columns, Plan
from stillwatch.evaluation.templates import Dealing

SWEEP_RECIPES = ("trace_debug", "trace_system", "trace_translate", "trace_recall", "trace_replay", "rationale")
SWEEPERS = 0.2  # of the accounts that replay: at work from the start
SWEEP_RATE = 3.0  # of a sweeping account, over the median of its campaign
SWEEP_UNTIL, SCALED_FROM = 0.2, 0.3  # parts of the window
REFUSED = 0.75  # of the sweep
CONTENT_FILTER = 3  # number of that finish reason among those of a day


def replays(plan: Plan, rng: np.random.Generator, people: Columns, *, share: float, work: int) -> None:
    """Let `share` of the accounts turn to the workload `work`, which sends back what others were issued."""
    count, window_s = len(people["rate"]), plan.days * DAY_S
    chosen = rng.random(count) < share
    sweeps = chosen & (rng.random(count) < SWEEPERS)
    until = np.where(sweeps, rng.uniform(SWEEP_UNTIL, SCALED_FROM, count), SCALED_FROM + rng.uniform(0, 0.05, count))
    people["late_s"] = np.where(chosen, until * window_s, people["late_s"])
    people["late"] = np.where(chosen, work, people["late"])
    people["from_s"] = np.where(sweeps, np.minimum(people["from_s"], 0.02 * window_s), people["from_s"])
    people["rate"] = np.where(sweeps, SWEEP_RATE * np.median(people["rate"]), people["rate"])
    people["work"] = np.where(sweeps, _sweep(plan, rng), people["work"])
    people["replay_work"] = np.where(chosen, work, -2)
    people["sweep_work"] = np.where(sweeps, people["work"], -2)


def _sweep(plan: Plan, rng: np.random.Generator) -> int:
    """A workload of many forms, worded anew on every call."""
    templates = [plan.library.template(recipe, rng, reworded=True) for recipe in SWEEP_RECIPES for _ in range(2)]
    return plan.library.workload(templates, Dealing.FREE, salt=int(rng.integers(1, 2**40)))


def refusals(
    people: Columns, account: npt.NDArray[np.int64], work: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Rows that the provider refuses because they belong to a sweep; `chance` in [0, 1) per row."""
    if "sweep_work" not in people:
        return np.zeros(len(work), dtype=bool)
    refused: npt.NDArray[Any] = (work == people["sweep_work"][account]) & (chance < REFUSED)
    return refused
