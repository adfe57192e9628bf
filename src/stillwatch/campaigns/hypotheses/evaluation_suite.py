"""Independent people who run one public evaluation suite.

Why:    whoever measures a model sends the suite's template over the suite's items, in one go, asking for reasoning.
Misses: suites so large that nobody runs more than a part; those look like a corpus shared out.
Source: own; the twin of "reasoning asked for in bulk" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, shared_beyond_prompts

NEEDS = ("exchanges.prompt",)
RUN_BY = 0.5  # share of the members with the templates that sent the average item


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when the average item was sent by much of the accounts, which share nothing that costs something."""
    del harvest  # a suite explains any measure: what everybody sends is no corpus shared out
    name, used = "evaluation suite", facts.bearing
    others = shared_beyond_prompts(facts)
    if used.exchanges == 0 or used.accounts < 2:
        return Finding(name, False, "no prompts in common, so items cannot be compared")
    sharing = facts.item_sharing or 0.0
    near = nearness(sharing, RUN_BY)
    because = f"the average item was also sent by {sharing:.0%} of the other accounts"
    if others:
        because += f"; but independent people do not share {' or '.join(others)}"
    return Finding(name, sharing >= RUN_BY and not others, because, nearness=near)
