"""Campaign ids that survive: a successor keeps the id of what it succeeds, and says where it came from.

Why:    accounts are banned and replaced; the campaign goes on, and its case must not start from nothing each day.
Misses: a campaign that changes accounts, templates and infrastructure all at once.
Source: own; the rule (half of the exposure) is stated in docs/concepts.md.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INHERITED_SHARE = 0.5  # a successor carries at least half of the exposure of what it succeeds
TEMPLATE_SHARE = 0.5  # half of its templates in common, and no account, means it was displaced


@dataclass(frozen=True, slots=True)
class Identity:
    """A campaign's id and where it came from: pairs of campaign id and relation."""

    campaign_id: str
    lineage: Sequence[tuple[str, str]] = field(default_factory=tuple)


def identities(
    clusters: Sequence[Sequence[str]],
    templates: Sequence[frozenset[str]],
    exposure: Mapping[str, int],
    prior: Sequence[Mapping[str, Any]],
) -> list[Identity]:
    """An identity per cluster, given the accounts and templates of each and the campaigns of the last run."""
    carried = {
        (old, new): _carried(prior[old]["account_ids"], clusters[new], exposure)
        for old in range(len(prior))
        for new in range(len(clusters))
    }
    heirs = _heirs(carried, prior, exposure)
    taken: dict[int, int] = {}
    for old, new in sorted(heirs.items(), key=lambda pair: (-_total(prior[pair[0]], exposure), pair[0])):
        taken.setdefault(new, old)
    return [
        _identity(new, clusters[new], templates[new], prior, carried, heirs, taken.get(new))
        for new in range(len(clusters))
    ]


def _heirs(
    carried: Mapping[tuple[int, int], float], prior: Sequence[Mapping[str, Any]], exposure: Mapping[str, int]
) -> dict[int, int]:
    """For each earlier campaign the cluster that carries at least INHERITED_SHARE of its exposure."""
    heirs: dict[int, int] = {}
    for (old, new), share in sorted(carried.items()):
        if share >= INHERITED_SHARE and share > carried.get((old, heirs.get(old, -1)), 0.0):
            heirs[old] = new
    return heirs


def _identity(
    new: int,
    accounts: Sequence[str],
    templates: frozenset[str],
    prior: Sequence[Mapping[str, Any]],
    carried: Mapping[tuple[int, int], float],
    heirs: Mapping[int, int],
    inherited: int | None,
) -> Identity:
    lineage = []
    for old, campaign in enumerate(prior):
        name = campaign["campaign_id"]
        if old == inherited:
            continue
        if heirs.get(old) == new:
            lineage.append((name, "merged_into"))
        elif carried[old, new] > 0:
            lineage.append((name, "split_from"))
        elif inherited is None and _displaced(templates, campaign):
            lineage.append((name, "displaced_from"))
    own = prior[inherited]["campaign_id"] if inherited is not None else new_id(accounts)
    return Identity(own, tuple(lineage))


def new_id(accounts: Sequence[str]) -> str:
    """The id of a campaign never seen before: a digest of its members."""
    digest = hashlib.sha256("\n".join(sorted(accounts)).encode()).hexdigest()
    return f"c-{digest[:12]}"


def _carried(old: Sequence[str], new: Sequence[str], exposure: Mapping[str, int]) -> float:
    """Share of the old accounts' exposure that the new cluster carries."""
    total = sum(exposure.get(account, 0) for account in old)
    return sum(exposure.get(account, 0) for account in set(old) & set(new)) / total if total else 0.0


def _total(campaign: Mapping[str, Any], exposure: Mapping[str, int]) -> int:
    return sum(exposure.get(account, 0) for account in campaign["account_ids"])


def _displaced(templates: frozenset[str], campaign: Mapping[str, Any]) -> bool:
    earlier = {template["template_id"] for template in campaign["templates"]}
    common = len(templates & earlier)
    return common > 0 and common >= TEMPLATE_SHARE * min(len(templates), len(earlier))
