"""The templates belong to the public: as many outsiders use them as members.

Why:    a popular prompt, a framework's default or a coding tool's instructions are shared by thousands of strangers.
Misses: a campaign that hides inside a public template and shares nothing else of its own.
Source: own; the twin of "same template over many accounts" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding

PUBLIC_SHARE = 0.5


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most of what members hold are templates that at least as many outsiders hold."""
    del harvest  # whose template it is decides
    name = "public template"
    if facts.bearing.exchanges == 0:
        return Finding(name, False, "the accounts share no template of their own")
    share = facts.public_share
    return Finding(name, share >= PUBLIC_SHARE, f"{share:.0%} of their templates are held by as many outsiders as members")
