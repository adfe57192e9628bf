"""The templates belong to the public: as many outsiders use them as members.

Why:    a popular prompt, a framework's default or a tutorial's instructions are shared by thousands of strangers.
Misses: a campaign that hides inside a public template and shares nothing else of its own.
Source: own; the twin of "same template over many accounts" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, linked_beyond_content, nearness

NEEDS = ("exchanges.prompt",)
PUBLIC_SHARE = 0.5


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most of the shared templates' traffic bears templates that at least as many outsiders hold."""
    name, share = "public template", facts.public_share
    near = nearness(share, PUBLIC_SHARE)
    others = linked_beyond_content(facts)
    if len(others) > 1:
        because = f"what everybody sends does not explain that they share {' and '.join(others)} as well"
        return Finding(name, False, because, nearness=near)
    if harvest.result == "proven":
        because = "the harvest is proven on templates that mostly these accounts hold"
        return Finding(name, False, because, nearness=near)
    because = f"{share:.0%} of the traffic that bears shared templates bears ones that as many outsiders hold"
    return Finding(name, share >= PUBLIC_SHARE, because, nearness=near)
