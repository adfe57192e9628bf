"""Several customers, each in plain sight, that send the same wordings.

Why:    two small firms that use one public prompt make a cluster: each one's card ties its own accounts, and the prompt
        ties all. Nothing but the prompt says that the firms have to do with one another.
Misses: a campaign that lets the accounts of each card name one organisation, and is too small or too ordinary to be
        proven a harvest and shares exits, sign-ups and hours no more than chance; where a harvest is proven, and as far
        as a check, one that takes no more than ordinary customers do.
Source: own; hiding is what makes common control suspicious, and these hide nothing.
"""

from collections import Counter

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, Owner
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, Finding, linked_beyond_content, nearness
from stillwatch.campaigns.hypotheses.small_team import MAX_ACCOUNTS
from stillwatch.campaigns.owners import OWNED_GROUPS

NEEDS = ("accounts.organization_id",)
NAME = "several owners"
OPEN_SHARE = 0.5  # of the members that must be of owners who give one


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives for owners that give a name or are few, tied by wordings alone.

    Of a proven harvest that takes not far more than ordinary customers do it denies that anybody hides, and not that
    one hand may be behind it, whatever they share: people of several organisations buy their cards in one shop.
    """
    owners = facts.owners
    in_sight = [owner for owner in owners if _gives_a_name(owner)]
    share = sum(owner.accounts for owner in in_sight) / max(len(facts.members), 1)
    near = nearness(share, OPEN_SHARE)
    between = [group for group in linked_beyond_content(facts) if group not in OWNED_GROUPS]
    hidden = max((owner.accounts for owner in owners if owner not in in_sight), default=0)
    named = _share_with_a_namesake(facts)
    if harvest.result == "proven" and named >= OPEN_SHARE:
        return _of_a_harvest(facts, named)
    if len(owners) < 2:
        because = "what cards, devices and names tie together is one owner's" if owners else "no owner is in sight"
        return Finding(NAME, False, because, nearness=near)
    if hidden > MAX_ACCOUNTS:
        because = f"{hidden} accounts hang together by cards or devices and name no organisation in common"
        return Finding(NAME, False, because, nearness=near)
    if share < OPEN_SHARE:
        because = f"{share:.0%} of the accounts are of an owner who gives a name"
        return Finding(NAME, False, because, nearness=near)
    if harvest.result == "proven":
        return _of_a_harvest(facts, share)
    if between:
        because = f"owners that have nothing to do with one another do not share {' and '.join(between)}"
        return Finding(NAME, False, because, nearness=near)
    because = f"{len(owners)} owners, in plain sight, send the same wordings, and nothing else ties them to one another"
    return Finding(NAME, True, because, nearness=1.0)


def _share_with_a_namesake(facts: Facts) -> float:
    """Share of the members that name an organisation which another one names."""
    names = Counter(member.organization_id for member in facts.members if member.organization_id)
    return sum(often for often in names.values() if often > 1) / max(len(facts.members), 1)


def _of_a_harvest(facts: Facts, share: float) -> Finding:
    """What the owners' names explain of a proven harvest: that nobody hides, if hardly more is taken than usual."""
    if facts.volume.result != "not_proven":
        because = "that owners show themselves does not explain the harvest that is proven"
        return Finding(NAME, False, because, nearness=1.0)
    because = (
        f"{share:.0%} of the accounts are of owners who give a name and can be asked, and together they take not "
        "far more than ordinary customers do"
    )
    return Finding(NAME, True, because, coordinated=True, nearness=1.0)


def _gives_a_name(owner: Owner) -> bool:
    return owner.named >= OWNED_SHARE * owner.accounts
