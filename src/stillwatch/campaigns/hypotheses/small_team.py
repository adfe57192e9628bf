"""A household or a small team: a handful of accounts, and one card openly pays for most of them.

Why:    partners and small firms open an account each, share the card, the office and their product's prompts. They
        answer for it as one customer, and a customer alone is never accused.
Misses: a campaign of so few accounts on one card; larger ones are not explained by it.
Source: own; the twin of "shared payment instrument" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, paid_together

NEEDS = ("accounts.payment_fingerprint",)
MAX_ACCOUNTS = 12
PAID_SHARE = 0.5  # some of a team pay for themselves, as contractors do


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when at most MAX_ACCOUNTS accounts are paid for, half of them or more, by one payment instrument."""
    del harvest  # how much one customer sends is no evidence of many
    name, accounts, paid = "small team", len(facts.members), paid_together(facts)
    if accounts > MAX_ACCOUNTS:
        because = f"{accounts} accounts are more than a team of at most {MAX_ACCOUNTS}"
        return Finding(name, False, because, nearness=nearness(MAX_ACCOUNTS, accounts))
    because = f"one payment instrument pays for {paid} of the {accounts} accounts"
    needed = PAID_SHARE * accounts
    return Finding(name, paid >= needed, because, nearness=nearness(paid, needed))
