"""One organisation whose existence somebody checked stands behind the accounts.

Why:    enterprises put hundreds of accounts behind one card, one address and their own templates.
Misses: a verified shell that relays a harvest with unremarkable content and nobody outside who sends it too.
Source: complaints of blocked customers, collected in docs/concepts.md under "innocent twin".
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, named_share, nearness, telling

NEEDS = ("accounts.organization_id", "accounts.verification_level")
SHARE = 0.8


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members belong to one verified organisation and the content is nothing out of the ordinary.

    Where the organisation itself is what is tested, its existence explains the link, which nobody doubts, and no more.
    """
    name, share = "verified organisation", named_share(facts, verified=True)
    near = nearness(share, SHARE)
    if share < SHARE:
        because = f"at most {share:.0%} of the accounts belong to one verified organisation"
        return Finding(name, False, because, nearness=near)
    if facts.declared is not None:
        because = "that the organisation exists explains why its accounts are linked, not what they take"
        return Finding(name, False, because, nearness=near)
    if telling(harvest):
        because = f"{share:.0%} belong to one verified organisation, but the prompts are too far from ordinary use"
        return Finding(name, False, because, nearness=near)
    because = f"{share:.0%} of the accounts belong to one verified organisation, which explains what they share"
    return Finding(name, True, because, nearness=near)
