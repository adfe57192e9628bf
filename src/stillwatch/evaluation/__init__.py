"""Worlds with truth, and how well a scan found it."""

from stillwatch.evaluation.doses import Doses, doses
from stillwatch.evaluation.evaluate import Evaluation, evaluate
from stillwatch.evaluation.scenarios import Scenario, customer_shares, made, scenario, scenarios
from stillwatch.evaluation.simulate import Summary, simulate
from stillwatch.evaluation.tables import Table

__all__ = [
    "Doses",
    "Evaluation",
    "Scenario",
    "Summary",
    "Table",
    "customer_shares",
    "doses",
    "evaluate",
    "made",
    "scenario",
    "scenarios",
    "simulate",
]
