"""Build machines and regression suites: the same requests over and over.

Why:    a fleet of machines runs fixed prompts on every build; its accounts repeat themselves, a sweep never does.
Misses: fleets whose prompts quote changing code at length.
Source: own; the twin of "many addresses and clients on one account" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness

NEEDS = ("exchanges.prompt",)
REPEATED_SHARE = 0.5


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most template-bearing exchanges repeat an item the same account had sent before."""
    del harvest  # repetition decides: what is asked again and again fills no corpus
    name = "ci fleet"
    if facts.bearing.exchanges == 0:
        return Finding(name, False, "no prompts in common, so repetition cannot be measured")
    repeated = facts.bearing.repeated_exchanges / facts.bearing.exchanges
    because = f"{repeated:.0%} of the exchanges repeat an item of the same account"
    return Finding(name, repeated >= REPEATED_SHARE, because, nearness=nearness(repeated, REPEATED_SHARE))
