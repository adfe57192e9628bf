"""An approved reseller or gateway that serves many customers of its own.

Why:    a partner's accounts share contract, payment and addresses, and carry everybody's traffic.
Misses: a partner that relays a harvest thinly spread over ordinary traffic.
Source: own; fraudulent proxy networks look the same but for the contract and the template-bearing share.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import VERIFIED, Facts
from stillwatch.campaigns.hypotheses.base import Finding, share_of, telling

PARTNER_SHARE = 0.6
VERIFIED_SHARE = 0.6


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members are verified partners and the content is nothing out of the ordinary."""
    name = "reseller"
    partner = share_of(facts, "access_program", ("partner",))
    verified = share_of(facts, "verification_level", VERIFIED)
    if partner < PARTNER_SHARE or verified < VERIFIED_SHARE:
        return Finding(
            name, False, f"{partner:.0%} are partner accounts and {verified:.0%} have a verified contract or business"
        )
    if telling(harvest):
        return Finding(name, False, "reselling does not explain prompts this far from ordinary use")
    return Finding(name, True, f"{partner:.0%} are approved partners, {verified:.0%} of them verified")
