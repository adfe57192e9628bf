"""A class working on one assignment.

Why:    students share a campus network, an e-mail domain, a deadline and the very same questions; or all of that but
        the questions, when each does something else.
Misses: a campaign in education accounts that sends every item from many of them, or shares neither prompts nor cards.
Source: own reasoning; education programmes are also where fraud enters, so the programme alone explains nothing.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, share_of, shared_beyond_prompts

NEEDS = ("accounts.access_program",)
EDUCATION_SHARE = 0.6
SAME_ITEMS = 0.06
DEADLINE_SHARE = 0.4


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when mostly education accounts send the same items, or (without prompts) work towards one deadline.

    Where prompts are known and none is in common, it survives as well, unless something is shared that costs anything.
    """
    name = "class assignment"
    education = share_of(facts, "access_program", ("education",))
    sharing, busiest = facts.item_sharing, facts.busiest_days_share
    if education < EDUCATION_SHARE:
        because = f"{education:.0%} of the accounts came in through education"
        return Finding(name, False, because, nearness=nearness(education, EDUCATION_SHARE))
    if sharing is not None and sharing < SAME_ITEMS:
        because = f"another member sends the same item only {sharing:.0%} of the time"
        return Finding(name, False, because, nearness=nearness(sharing, SAME_ITEMS))
    if sharing is None and facts.has_prompts and not shared_beyond_prompts(facts):
        because = (
            f"{education:.0%} are education accounts that send nothing in common and share neither cards nor devices"
        )
        return Finding(name, True, because, nearness=1.0)
    if sharing is None and busiest < DEADLINE_SHARE:
        because = f"only {busiest:.0%} of the traffic falls on the busiest three days"
        return Finding(name, False, because, nearness=nearness(busiest, DEADLINE_SHARE))
    if harvest.result == "proven":
        return Finding(name, False, "a class does not explain the harvest that is proven", nearness=1.0)
    because = f"{education:.0%} are education accounts working on the same questions or deadline"
    return Finding(name, True, because, nearness=1.0)
