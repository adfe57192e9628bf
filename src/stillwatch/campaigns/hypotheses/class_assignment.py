"""A class working on one assignment.

Why:    students share a campus network, an e-mail domain, a deadline and the very same questions.
Misses: a campaign in education accounts that sends every item from many of them.
Source: own reasoning; education programmes are also where fraud enters, so the programme alone explains nothing.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, share_of

EDUCATION_SHARE = 0.6
SAME_ITEMS = 0.06
DEADLINE_SHARE = 0.4


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when mostly education accounts send the same items, or (without prompts) work towards one deadline."""
    name = "class assignment"
    education = share_of(facts, "access_program", ("education",))
    if education < EDUCATION_SHARE:
        return Finding(name, False, f"{education:.0%} of the accounts came in through education")
    sharing = facts.item_sharing
    if sharing is not None and sharing < SAME_ITEMS:
        return Finding(name, False, f"another member sends the same item only {sharing:.0%} of the time")
    if sharing is None and facts.busiest_days_share < DEADLINE_SHARE:
        return Finding(
            name, False, f"only {facts.busiest_days_share:.0%} of the traffic falls on the busiest three days"
        )
    if harvest.result == "proven":
        return Finding(name, False, "a class does not explain the harvest that is proven")
    return Finding(name, True, f"{education:.0%} are education accounts working on the same questions or deadline")
