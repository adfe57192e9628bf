"""The accounts say openly that they belong together.

Why:    a small firm or a fleet of build machines uses several accounts under one organisation and hides nothing.
Misses: nothing is proven by the declaration itself, so it explains linkage only while no harvest is proven.
Source: own reasoning: concealment is what makes common control suspicious.
"""

from collections import Counter

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding

SHARE = 0.8


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members name the same organisation and harvesting is not proven."""
    declared = Counter(m.organization_id for m in facts.members if m.organization_id)
    _, count = declared.most_common(1)[0] if declared else (None, 0)
    share = count / len(facts.members)
    name = "declared organisation"
    if share < SHARE:
        return Finding(name, False, f"at most {share:.0%} of the accounts name the same organisation")
    if harvest.result == "proven":
        return Finding(
            name, False, f"{share:.0%} name one organisation, but nobody verified it and a harvest is proven"
        )
    return Finding(
        name, True, f"{share:.0%} of the accounts name the same organisation; the link is declared, not hidden"
    )
