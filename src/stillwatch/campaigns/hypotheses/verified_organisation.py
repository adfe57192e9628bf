"""One organisation whose existence somebody checked stands behind the accounts.

Why:    enterprises put hundreds of accounts behind one card, one address and their own templates.
Misses: a verified shell that relays a harvest with unremarkable content.
Source: complaints of blocked customers, collected in docs/concepts.md under "innocent twin".
"""

from collections import Counter

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import VERIFIED, Facts
from stillwatch.campaigns.hypotheses.base import Finding, telling

SHARE = 0.8


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members belong to one verified organisation and the content is nothing out of the ordinary."""
    verified = Counter(
        m.organization_id for m in facts.members if m.organization_id and m.verification_level in VERIFIED
    )
    _, count = verified.most_common(1)[0] if verified else (None, 0)
    name = "verified organisation"
    share = count / len(facts.members)
    if share < SHARE:
        return Finding(name, False, f"at most {share:.0%} of the accounts belong to one verified organisation")
    if telling(harvest):
        because = f"{share:.0%} belong to one verified organisation, but the prompts are too far from ordinary use"
        return Finding(name, False, because)
    return Finding(
        name, True, f"{share:.0%} of the accounts belong to one verified organisation, which explains what they share"
    )
