"""What an account shares, with whom how many: counted from the links and the members of the campaigns.

Misses: after other accounts were erased, their links are gone and they count as strangers until the next scan, which
        takes bits away and adds none. Accounts of one verified organisation are one holder, as in the links.
Source: bits as in `linkage` (membership): Fellegi & Sunter, JASA 64 (1969) 1183-1210.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.explanations.facts import Nearest, SharedTrait, Tie
from stillwatch.membership import MAX_GROUP_BITS, MIN_ACCOUNTS, MIN_GROUPS, OWNED, TIE_SHARE, times_commoner
from stillwatch.records import KINDS, LEAD_KIND

Campaign = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A trait that the account holds: `holders` accounts do, this one included, and `inside` of each campaign."""

    kind: str
    group: str
    durability: str
    weight_bits: float
    holders: int
    inside: Mapping[str, int]


def held(account_id: str, links: pa.Table, campaigns: Iterable[Campaign]) -> list[Held]:
    """Every validated trait of the account, with who else holds it."""
    own = links.filter(pc.equal(links["account_id"], account_id))
    alike = links.join(own.select(["kind", "value"]), ["kind", "value"], join_type="inner")
    alike = alike.select(["account_id", "kind", "value"])
    home = {member: campaign["campaign_id"] for campaign in campaigns for member in campaign["account_ids"]}
    inside: dict[tuple[str, str], Counter[str]] = {}
    for row in alike.to_pylist():
        if row["account_id"] in home:
            inside.setdefault((row["kind"], row["value"]), Counter())[home[row["account_id"]]] += 1
    return [
        Held(
            kind=row["kind"],
            group=KINDS[row["kind"]][1],
            durability=row["durability"],
            weight_bits=row["weight_bits"],
            holders=row["account_count"],
            inside=inside.get((row["kind"], row["value"]), {}),
        )
        for row in own.to_pylist()
    ]


def ties(traits: Iterable[Held], campaign: Campaign, *, is_member: bool, account_count: int) -> list[Tie]:
    """The most telling trait of each group that the account shares with the campaign's accounts, strongest first."""
    best: dict[str, Tie] = {}
    for trait in traits:
        tie = _tie(trait, campaign, is_member=is_member, account_count=account_count)
        if tie.bits > 0 and _rank(tie) < _rank(best.get(trait.group)):
            best[trait.group] = tie
    return sorted(best.values(), key=_rank)


def _rank(tie: Tie | None) -> tuple[float, str]:
    """Strongest first; of equals the first kind by name."""
    return (0.0, "") if tie is None else (-tie.bits, tie.kind)


def _tie(trait: Held, campaign: Campaign, *, is_member: bool, account_count: int) -> Tie:
    others = len(campaign["account_ids"]) - is_member
    members = trait.inside.get(campaign["campaign_id"], 0) - is_member
    strangers = max(trait.holders - 1 - members, 0)
    times = times_commoner(members, others, strangers, max(account_count - others, 1))
    bits = min(max(log2(times), 0.0), MAX_GROUP_BITS) if members >= 1 else 0.0
    return Tie(trait.group, trait.kind, trait.durability, members, others, strangers, round(bits, 6))


def shared(traits: Iterable[Held]) -> list[SharedTrait]:
    """The weightiest trait of each group, for an account outside campaigns."""
    best: dict[str, Held] = {}
    for trait in sorted(traits, key=lambda trait: (-trait.weight_bits, trait.kind, trait.holders)):
        best.setdefault(trait.group, trait)
    return [
        SharedTrait(trait.group, trait.kind, trait.holders - 1, sum(trait.inside.values()))
        for _, trait in sorted(best.items())
    ]


def nearest(traits: Sequence[Held], campaigns: Iterable[Campaign], *, account_count: int) -> Nearest | None:
    """The campaign that most counting groups, then most bits, tie the account to; None when nothing ties it."""
    found = []
    for campaign in campaigns:
        tied = ties(traits, campaign, is_member=False, account_count=account_count)
        if tied:
            counting = sorted({trait.group for trait in traits if _counts(trait, campaign["campaign_id"])})
            near = Nearest(campaign["campaign_id"], campaign["verdict"], tied, counting, MIN_GROUPS)
            found.append((-len(counting), -sum(tie.bits for tie in tied), campaign["campaign_id"], near))
    return min(found, key=lambda row: row[:3])[3] if found else None


def _counts(trait: Held, campaign_id: str) -> bool:
    """Whether the trait counts for membership: enough of the other holders are members.

    Tools never count, and what a partner sent is no more than the wordings it is about.
    """
    members = trait.inside.get(campaign_id, 0)
    if trait.group == KINDS["template"][1] and (trait.kind not in OWNED or members < MIN_ACCOUNTS):
        return False
    return trait.kind != LEAD_KIND and 1 <= members >= TIE_SHARE * max(trait.holders - 1, 1)
