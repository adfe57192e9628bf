"""A household or a small team: a handful of accounts, and one card openly pays for most of them.

Why:    partners and small firms open an account each, share the card, the office and their product's prompts. They
        answer for it as one customer, and a customer alone is never accused.
Misses: a campaign of so few accounts on one card, or that name one organisation, or that asks for one rare thing only;
        larger ones are not explained by it.
Source: own; the twin of "shared payment instrument" in providers' indicator lists. A product asks for one thing: see
        `organisations`.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, asked
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, Finding, named_share, nearness, paid_together

NEEDS = ("accounts.payment_fingerprint",)
MAX_ACCOUNTS = 12
PAID_SHARE = 0.5  # some of a team pay for themselves, as contractors do
ONE_PRODUCT = 1  # thing that products seldom ask for; a team whose wordings ask for more has to be openly one


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when one instrument pays for half of a few accounts; they may not hide being one and ask for much."""
    del harvest  # how much one customer sends is no evidence of many
    name, accounts, paid = "small team", len(facts.members), paid_together(facts)
    if accounts > MAX_ACCOUNTS:
        because = f"{accounts} accounts are more than a team of at most {MAX_ACCOUNTS}"
        return Finding(name, False, because, nearness=nearness(MAX_ACCOUNTS, accounts))
    because = f"one payment instrument pays for {paid} of the {accounts} accounts"
    named, asks = named_share(facts), asked(facts.bearing)
    is_open = named >= PAID_SHARE or len(asks) <= ONE_PRODUCT
    needed = (PAID_SHARE if is_open else OWNED_SHARE) * accounts
    if PAID_SHARE * accounts <= paid < needed:
        things = " and ".join(one.replace("_", " ") for one in asks)
        because += f", at most {named:.0%} name the same organisation, and a product asks for less than {things}"
    return Finding(name, paid >= needed, because, nearness=nearness(paid, needed))
