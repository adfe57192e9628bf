"""One owner's batch product: jobs on one template, with ever new items.

Why:    translation, extraction and question answering over documents run over many keys, day after day, on one wording.
Misses: a harvest of one thing by one declared owner whose prompts ask for nothing unusual.
Source: own; half of what a harvest looks like is what a product looks like.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import (
    ORDINARY_BITS,
    OWNED_SHARE,
    Finding,
    bits_of,
    nearness,
    of_one_owner,
    sent_outside,
)

NEEDS = ("exchanges.prompt",)
ONE_CAPABILITY = 0.8  # of the bearing exchanges; one product is one thing, in however many wordings
SAME_ITEMS = 0.06  # from here on the items are the same questions


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when one owner's traffic is one thing that asks for nothing rare: it explains volume and focus only."""
    name, owned = "batch product", of_one_owner(facts)
    counts = facts.bearing.capabilities.values()
    one = max(counts, default=0) / max(sum(counts), 1)
    near = min(nearness(owned, OWNED_SHARE), nearness(one, ONE_CAPABILITY))
    if owned < OWNED_SHARE:
        because = f"at most {owned:.0%} of the accounts openly belong to one owner"
        return Finding(name, False, because, nearness=near)
    if one < ONE_CAPABILITY:
        because = f"at most {one:.0%} of the traffic is of one kind, and a product is one thing"
        return Finding(name, False, because, nearness=near)
    if (facts.item_sharing or 0.0) >= SAME_ITEMS:
        because = f"another member sends the same item {facts.item_sharing:.0%} of the time, and a product has new ones"
        return Finding(name, False, because, nearness=near)
    if sent_outside(facts):
        because = "a product does not explain that these wordings are also those of a campaign outside"
        return Finding(name, False, because, nearness=near)
    if bits_of(harvest, "elicitation") >= ORDINARY_BITS:
        because = "a product explains how much there is of one kind, not prompts that ask for what few others do"
        return Finding(name, False, because, nearness=near)
    because = f"{owned:.0%} of the accounts openly belong to one owner, and {one:.0%} of the traffic is of one kind"
    return Finding(name, True, because, nearness=near)
