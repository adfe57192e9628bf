"""An analyst looked at these accounts and found them innocent.

Why:    people who read the evidence know more than a test; their verdict is an input of the next run.
Misses: accounts that turned hostile after the verdict; the verdict can be overruled by a newer one.
Source: own.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding

NEEDS = ()


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members were found innocent."""
    del harvest  # a person decided
    because = (
        "an analyst found most of these accounts innocent" if facts.pardoned else "no analyst cleared these accounts"
    )
    return Finding("analyst verdict", facts.pardoned, because)
