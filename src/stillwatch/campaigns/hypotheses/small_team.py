"""A household or a small team: a handful of accounts, and one card openly pays for most of them.

Why:    partners and small firms open an account each, share the card, the office and their product's prompts. They
        answer for it as one customer, and a customer alone is never accused.
Misses: a campaign of so few accounts on one card, or that name one organisation; larger ones are not explained by it.
Source: own; the twin of "shared payment instrument" in providers' indicator lists.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, Finding, named_share, nearness, paid_together

NEEDS = ("accounts.payment_fingerprint",)
MAX_ACCOUNTS = 12
PAID_SHARE = 0.5  # some of a team that names itself pay for themselves, as contractors do


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when one instrument pays for nearly all of a few accounts, or for half and as many name one owner."""
    del harvest  # how much one customer sends is no evidence of many
    name, accounts, paid = "small team", len(facts.members), paid_together(facts)
    if accounts > MAX_ACCOUNTS:
        because = f"{accounts} accounts are more than a team of at most {MAX_ACCOUNTS}"
        return Finding(name, False, because, nearness=nearness(MAX_ACCOUNTS, accounts))
    because = f"one payment instrument pays for {paid} of the {accounts} accounts"
    named = named_share(facts)
    needed = (PAID_SHARE if named >= PAID_SHARE else OWNED_SHARE) * accounts
    if PAID_SHARE * accounts <= paid < needed:
        because += f", and at most {named:.0%} name the same organisation"
    return Finding(name, paid >= needed, because, nearness=nearness(paid, needed))
