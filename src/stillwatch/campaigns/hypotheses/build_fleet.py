"""Build machines and regression suites: the same requests over and over.

Why:    a fleet of machines runs fixed prompts on every build; its accounts repeat themselves, a sweep never does.
Misses: fleets whose prompts quote changing code at length.
Source: own; the twin of "many addresses and clients on one account" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding

REPEATED_SHARE = 0.5


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most template-bearing exchanges repeat an item the same account had sent before."""
    del harvest  # repetition decides
    name = "build fleet"
    if facts.bearing.exchanges == 0:
        return Finding(name, False, "no prompts, so repetition cannot be measured")
    repeated = facts.bearing.repeated_exchanges / facts.bearing.exchanges
    return Finding(
        name, repeated >= REPEATED_SHARE, f"{repeated:.0%} of the exchanges repeat an item of the same account"
    )
