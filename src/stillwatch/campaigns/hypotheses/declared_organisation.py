"""The accounts say openly that they belong together.

Why:    a small firm or a fleet of build machines uses several accounts under one organisation and hides nothing.
Misses: nothing is proven by the declaration itself, so it explains linkage only while no harvest is proven; of one that
        takes not far more than ordinary customers do it denies that anybody hides, as far as a check.
Source: own reasoning: concealment is what makes common control suspicious.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, named_share, nearness

NEEDS = ("accounts.organization_id",)
SHARE = 0.8


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members name the same organisation, and harvesting is not proven or takes little."""
    name, share = "declared organisation", named_share(facts)
    near = nearness(share, SHARE)
    if share < SHARE:
        because = f"at most {share:.0%} of the accounts name the same organisation"
        return Finding(name, False, because, nearness=near)
    if facts.declared is not None:
        because = "that the accounts belong together is declared, doubted by nobody, and explains nothing they take"
        return Finding(name, False, because, nearness=near)
    if harvest.result == "proven":
        if facts.volume.result == "not_proven":
            because = f"{share:.0%} name one organisation, which can be asked, and take not far more than customers do"
            return Finding(name, True, because, coordinated=True, nearness=near)
        because = f"{share:.0%} name one organisation, which does not explain the harvest that is proven"
        return Finding(name, False, because, nearness=near)
    because = f"{share:.0%} of the accounts name the same organisation; the link is declared, not hidden"
    return Finding(name, True, because, nearness=near)
