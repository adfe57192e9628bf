"""One owner's batch product: jobs on one template, with ever new items.

Why:    translation, extraction and question answering over documents run over many keys, day after day, on one wording.
Misses: a harvest of one thing by one declared owner whose prompts ask for nothing unusual.
Source: own; half of what a harvest looks like is what a product looks like.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, of_one_owner, telling

NEEDS = ("exchanges.prompt",)
OWNED_SHARE = 0.8
ONE_CAPABILITY = 0.8  # of the bearing exchanges; one product is one thing, in however many wordings


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when one owner's traffic is one thing, and that is nothing out of the ordinary."""
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
    if facts.declared is not None and facts.declared.outside:
        because = "a product does not explain that these wordings are also those of a campaign outside"
        return Finding(name, False, because, nearness=near)
    if telling(harvest):
        because = "a product does not explain prompts this far from ordinary use"
        return Finding(name, False, because, nearness=near)
    because = f"{owned:.0%} of the accounts openly belong to one owner, and {one:.0%} of the traffic is of one kind"
    return Finding(name, True, because, nearness=near)
