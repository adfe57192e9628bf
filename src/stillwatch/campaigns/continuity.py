"""Campaigns of this run beside those of earlier ones: id, lineage and displacement of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stillwatch.campaigns.displacement import displacement
from stillwatch.campaigns.identity import Identity, identities
from stillwatch.campaigns.known import Known, Past, updated
from stillwatch.campaigns.marks import Marks
from stillwatch.campaigns.succession import (
    Agreement,
    Surroundings,
    agreements,
    bits_by_group,
    handovers,
    links,
    renewed_known,
)

DISPLACED = "displaced_from"


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a campaign continues: `lineage` and `displacement` as in the campaigns schema."""

    campaign_id: str
    lineage: Sequence[Mapping[str, Any]] = ()
    displacement: Sequence[Mapping[str, Any]] = ()


def continuations(
    clusters: Sequence[tuple[Sequence[str], Marks]], of: Past, others: Surroundings
) -> list[Continuation]:
    """How each cluster, given its accounts and marks, continues what was known before."""
    if of.ended_at is None:
        return []
    named = identities([accounts for accounts, _ in clusters], of.known)
    before = {campaign.campaign_id: campaign for campaign in renewed_known(of)}
    current = [
        updated(name.campaign_id, accounts, marks, of) for name, (accounts, marks) in zip(named, clusters, strict=True)
    ]
    everything = before | {campaign.campaign_id: campaign for campaign in current}
    displaced = _displaced(current, everything, others, of.ended_at)
    return [
        _continuation(name, campaign, before.get(name.campaign_id), displaced, everything, of.ended_at)
        for name, campaign in zip(named, current, strict=True)
    ]


def _displaced(
    current: Sequence[Known], everything: Mapping[str, Known], others: Surroundings, ended_at: datetime
) -> dict[tuple[str, str], list[Agreement]]:
    """For each pair of later and earlier campaign whose marks link them: what agrees."""
    pairs = list(handovers(list(everything.values()), current, ended_at))
    began = min((s.first_seen_at for c in everything.values() for s in c.accounts.values()), default=ended_at)
    observed_hours = (ended_at - began).total_seconds() / 3600 + 1
    holders = others.holders({old.campaign_id: old.marks for old, _, _ in pairs if old.marks is not None}.values())
    found = {}
    for old, new, between in pairs:
        agreed = agreements(old, new, between, others, observed_hours, holders)
        if links(agreed, len(pairs)):
            found[new.campaign_id, old.campaign_id] = agreed
    return found


def _continuation(
    name: Identity,
    campaign: Known,
    before: Known | None,
    displaced: Mapping[tuple[str, str], Sequence[Agreement]],
    everything: Mapping[str, Known],
    ended_at: datetime,
) -> Continuation:
    """Lineage of earlier runs stays; what this run says of the same two campaigns replaces it."""
    lineage = {} if before is None else {kin["campaign_id"]: kin for kin in before.lineage}
    kept = {other for other, kin in lineage.items() if kin["relation"] == DISPLACED}
    lineage |= {other: _carries(other, relation, share) for other, relation, share in name.kin if other not in kept}
    lineage |= {old: _agrees(old, agreed) for (new, old), agreed in displaced.items() if new == name.campaign_id}
    earlier = [] if before is None else before.displacement
    moved = {row["from_campaign_id"]: row for row in earlier}
    displaced_from = [k for k, kin in lineage.items() if kin["relation"] == DISPLACED and k in everything]
    for source in (campaign, *(everything[other] for other in displaced_from)):
        row = displacement(source, campaign, ended_at)
        if row is not None:
            moved[source.campaign_id] = row
    return Continuation(name.campaign_id, _sorted(lineage), _sorted(moved))


def _sorted(rows: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [rows[name] for name in sorted(rows)]


def _carries(other: str, relation: str, share: float) -> dict[str, Any]:
    because = f"its accounts made {share:.0%} of the exchanges known of the other"
    return {"campaign_id": other, "relation": relation, "bits": None, "because": because}


def _agrees(other: str, agreed: Sequence[Agreement]) -> dict[str, Any]:
    """The lineage of a displaced campaign, with the marks that agree in words."""
    because = "; ".join(f"{agreement.because} ({agreement.bits:.1f} bits)" for agreement in agreed)
    total = round(sum(bits_by_group(agreed).values()), 6)
    return {"campaign_id": other, "relation": DISPLACED, "bits": total, "because": because}
