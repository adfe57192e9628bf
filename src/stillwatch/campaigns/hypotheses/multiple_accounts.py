"""One person with many accounts, and no harvest: free credit, rate limits, convenience.

Why:    having many accounts breaks rules more often than it distils models.
Misses: harvests too small or too ordinary to prove.
Source: own; keeps common control (a fact) apart from harvesting (an accusation).
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding

NEEDS = ()


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives while harvesting was tested and is not proven; the accounts still are under common control."""
    del facts  # the harvest test decides
    name = "multiple accounts without harvest"
    if harvest.result == "not_tested":
        return Finding(name, False, f"starved: harvesting could not be tested: {harvest.because}", tested=False)
    survives = harvest.result == "not_proven"
    because = f"harvesting is {'not ' if survives else ''}proven: {harvest.because}"
    return Finding(name, survives, because, coordinated=True)
