"""An approved reseller or gateway that serves many customers of its own.

Why:    a partner's accounts share contract, payment and addresses, and carry everybody's traffic.
Misses: a partner that relays a harvest nobody else sends and that asks for no reasoning, among more of ordinary
        traffic; one whose largest customer has a product that asks for the same.
Source: own; fraudulent proxy networks look the same but for the contract and the template-bearing share.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import VERIFIED, Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, sent_outside, share_of, telling

NEEDS = ("accounts.access_program", "accounts.verification_level")
PARTNER_SHARE = 0.6
VERIFIED_SHARE = 0.6


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most members are verified partners, and neither content nor company speaks against them."""
    name = "reseller"
    partner = share_of(facts, "access_program", ("partner",))
    verified = share_of(facts, "verification_level", VERIFIED)
    near = min(nearness(partner, PARTNER_SHARE), nearness(verified, VERIFIED_SHARE))
    if partner < PARTNER_SHARE or verified < VERIFIED_SHARE:
        because = f"{partner:.0%} are partner accounts and {verified:.0%} have a verified contract or business"
        return Finding(name, False, because, nearness=near)
    if sent_outside(facts):
        because = "reselling does not explain that these wordings are also those of a campaign outside"
        return Finding(name, False, because, nearness=near)
    if facts.declared is not None and facts.declared.reached:
        because = "reselling does not explain asking for the model's reasoning as hardly any other customer does"
        return Finding(name, False, because, nearness=near)
    if facts.declared is not None and facts.declared.relayed:
        because = (
            f"reselling explains many customers' mixed traffic, not {facts.declared.relayed.prompts} prompts, each a "
            "large part of the whole, that ask for what customers seldom ask for"
        )
        return Finding(name, False, because, nearness=near)
    if telling(harvest):
        because = "reselling does not explain prompts this far from ordinary use"
        return Finding(name, False, because, nearness=near)
    because = f"{partner:.0%} are approved partners, {verified:.0%} of them verified"
    return Finding(name, True, because, nearness=near)
