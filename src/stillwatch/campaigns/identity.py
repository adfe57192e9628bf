"""Campaign ids that survive: a successor keeps the id of what it succeeds.

Why:    accounts come and go; the campaign goes on, and its case must not start from nothing each day.
Misses: a campaign that changes most of its accounts between two runs gets another id; `lineage` then links the two
        when their marks agree.
Source: own; the rule is stated in docs/concepts.md.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stillwatch.campaigns.known import Known

INHERITED_SHARE = 0.5  # of the exposure of the earlier members, which an heir must carry


@dataclass(frozen=True, slots=True)
class Identity:
    """A campaign's id, and the earlier campaigns whose accounts it holds: id, relation, share of exposure carried."""

    campaign_id: str
    kin: Sequence[tuple[str, str, float]] = ()


def identities(clusters: Sequence[Sequence[str]], known: Sequence[Known]) -> list[Identity]:
    """An identity per cluster, given its accounts.

    What an earlier member counts is its exchanges when the campaign was last found: those of this window would make
    an heir of whoever holds the two accounts that a ban has left.
    """
    home = {account_id: new for new, accounts in enumerate(clusters) for account_id in accounts}
    carried = [_carried(campaign, home) for campaign in known]
    heirs = [_heir(shares) for shares in carried]
    taken: dict[int, int] = {}
    for old in sorted(range(len(known)), key=lambda old: (-_total(known[old]), known[old].campaign_id)):
        heir = heirs[old]
        if heir is not None:
            taken.setdefault(heir, old)
    return [
        Identity(
            known[taken[new]].campaign_id if new in taken else new_id(clusters[new]),
            tuple(_kin(new, known, carried, heirs, taken.get(new))),
        )
        for new in range(len(clusters))
    ]


def new_id(accounts: Sequence[str]) -> str:
    """The id of a campaign never seen before: a digest of its members."""
    digest = hashlib.sha256("\n".join(sorted(accounts)).encode()).hexdigest()
    return f"c-{digest[:12]}"


def _carried(campaign: Known, home: Mapping[str, int]) -> dict[int, float]:
    """Share of the campaign's exposure that each cluster carries."""
    total = _total(campaign)
    sums: Counter[int] = Counter()
    for account_id, span in campaign.members.items():
        if account_id in home:
            sums[home[account_id]] += span.exchanges
    return {new: sums[new] / total for new in sorted(sums)} if total else {}


def _heir(shares: Mapping[int, float]) -> int | None:
    """The cluster that carries at least half of the exposure; of equals the first."""
    best = min(shares, key=lambda new: (-shares[new], new), default=None)
    return best if best is not None and shares[best] >= INHERITED_SHARE else None


def _total(campaign: Known) -> int:
    return sum(span.exchanges for span in campaign.members.values())


def _kin(
    new: int,
    known: Sequence[Known],
    carried: Sequence[Mapping[int, float]],
    heirs: Sequence[int | None],
    inherited: int | None,
) -> list[tuple[str, str, float]]:
    """The other campaigns whose accounts the cluster holds: merged into it, or split by it."""
    return [
        (known[old].campaign_id, "merged_into" if heirs[old] == new else "split_from", round(carried[old][new], 6))
        for old in range(len(known))
        if old != inherited and carried[old].get(new, 0.0) > 0
    ]
