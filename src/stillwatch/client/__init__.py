"""What a gateway asks before it serves a request: a copy of every decision in this process, kept by a thread.

Standard library only: it runs inside gateways' own environments.
"""

from stillwatch.client.client import Client, Health
from stillwatch.client.decision import NONE, Decision, Limits, decision_of
from stillwatch.client.rates import Rates
from stillwatch.client.refusals import Refusal, Verifying, refusal

__all__ = ["NONE", "Client", "Decision", "Health", "Limits", "Rates", "Refusal", "Verifying", "decision_of", "refusal"]
