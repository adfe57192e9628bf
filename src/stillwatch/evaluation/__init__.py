"""Worlds with truth, and how well a scan found it."""

from stillwatch.evaluation.evaluate import Evaluation, evaluate
from stillwatch.evaluation.scenarios import Scenario, scenarios
from stillwatch.evaluation.simulate import Summary, simulate
from stillwatch.evaluation.tables import Table

__all__ = ["Evaluation", "Scenario", "Summary", "Table", "evaluate", "scenarios", "simulate"]
