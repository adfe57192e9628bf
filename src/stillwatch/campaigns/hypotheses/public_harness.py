"""One public tool: its system prompt, its client and its tools, the same for everybody who uses it.

Why:    thousands of strangers use the same coding tool, and each of them looks like the next.
Misses: a relay all of whose harvest is worded by the tool itself.
Source: own; published campaigns chose whom to relay by such tools, so that the tool explains the likeness of accounts
        and nothing of what rides inside it.
"""

from stillwatch.campaigns.coordination import CROSSING, TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, linked_beyond_content, nearness

NEEDS = ("exchanges.prompt", "exchanges.user_agent")
TOOLED_SHARE = 0.8
TOOL_KINDS = ("system_prompt", "client")


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members use one public tool, and no harvest is proven on wordings of their own."""
    name, accounts = "public harness", max(len(facts.members), 1)
    public = [e for e in facts.evidence if e.kind in TOOL_KINDS and e.outside_count >= e.account_count]
    share = max((e.account_count for e in public), default=0) / accounts
    near = nearness(share, TOOLED_SHARE)
    if share < TOOLED_SHARE:
        because = f"at most {share:.0%} of the accounts use one tool that at least as many others use"
        return Finding(name, False, because, nearness=near)
    others = linked_beyond_content(facts)
    if len(others) > 1 or CROSSING in others:  # several kinds of things, across separate wordings
        because = f"what everybody sends does not explain that they share {' and '.join(others)} as well"
        return Finding(name, False, because, nearness=near)
    if harvest.result == "proven":
        because = f"{share:.0%} use one public tool, but the harvest is proven on wordings that are not the tool's"
        return Finding(name, False, because, nearness=near)
    because = f"{share:.0%} of the accounts use one tool that at least as many others use"
    return Finding(name, True, because, nearness=near)
