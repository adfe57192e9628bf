"""Everybody asks the same questions: a benchmark, a tutorial, an assignment.

Why:    who follows the same sheet runs the same template over the same items; a harvest shares its corpus out, so that
        items hardly repeat between accounts.
Misses: harvests that send every item from several accounts on purpose, at a multiple of the cost; where far more is
        taken than ordinary customers take, items have to repeat more, as drawing from one corpus repeats some.
Source: own; the contrast of template overlap with item overlap is the core of the harvest test.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness

NEEDS = ("exchanges.prompt",)
SHARED_SHARE = 0.06
TAKEN_SHARE = 0.2  # where they take far more than ordinary customers do


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when another member often sends the same item, the more often the more they take."""
    del harvest  # the items decide
    name, sharing = "same items", facts.item_sharing
    if sharing is None:
        return Finding(name, False, "no prompts in common, so items cannot be compared")
    because = f"another member sends the same item {sharing:.0%} of the time"
    needed = TAKEN_SHARE if facts.volume.result == "proven" else SHARED_SHARE
    if SHARED_SHARE <= sharing < needed:
        because += f", which does not explain that {facts.volume.because}"
    return Finding(name, sharing >= needed, because, nearness=nearness(sharing, needed))
