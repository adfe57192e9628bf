"""What the last detection learned of sign-ups: traits of open campaigns, with the weight each was found to have.

Why:    whoever was seen to harvest comes back with the same card, device or address range under a new name.
Misses: campaigns found since the last detection; what campaigns show only in traffic, which a sign-up has none of.

A trait counts only when most of its holders are members of a campaign. That, and the weight learned from independent
traits, is what keeps a carrier's address range, a company's card or a popular mail domain out, with no list of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import store
from stillwatch.errors import StoreError
from stillwatch.records import ACCUSING
from stillwatch.server.accounts.traits import KINDS
from stillwatch.server.settings import DETECTIONS

MIN_MEMBERS = 2  # one member's trait links nobody
LEAST_SHARE = 0.5  # of a trait's holders that must be members


@dataclass(frozen=True, slots=True)
class KnownTrait:
    """A trait of a campaign: members that hold it, accounts that do, and its weight in bits."""

    campaign_id: str
    members: int
    holders: int
    weight_bits: float
    durability: str


@dataclass(frozen=True, slots=True)
class Known:
    """Traits of open campaigns by kind and value, and when the detection that found them ended (null: none did)."""

    traits: Mapping[tuple[str, str], KnownTrait]
    at: datetime | None = None


def known(state: Path) -> Known:
    """What the newest detection of a state leaves; nothing when there is none yet, or its output cannot be read."""
    folder = state / DETECTIONS
    try:
        changed_ns = [(folder / name).stat().st_mtime_ns for name in (store.CAMPAIGNS, store.LINKS)]
        return _read(folder, *changed_ns)
    except (OSError, StoreError):  # none yet, or just being replaced: the reading does without
        return Known({})


@lru_cache(maxsize=2)
def _read(folder: Path, _campaigns_changed_ns: int, _links_changed_ns: int) -> Known:
    at = datetime.fromtimestamp((folder / store.LINKS).stat().st_mtime, UTC)
    campaigns = [one for one in store.read_campaigns(folder) if one["verdict"] in ACCUSING]
    return Known(known_traits(campaigns, store.read_table(folder, store.LINKS)), at)


def known_traits(campaigns: list[dict[str, Any]], links: pa.Table) -> dict[tuple[str, str], KnownTrait]:
    """Traits of sign-ups that mostly members of one campaign hold; of several campaigns the one with most members."""
    member_of = {account_id: one["campaign_id"] for one in campaigns for account_id in one["account_ids"]}
    told = links.filter(pc.is_in(links["kind"].cast(pa.string()), pa.array(KINDS)))
    told = told.filter(pc.is_in(told["account_id"].cast(pa.string()), pa.array(list(member_of), pa.string())))
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in told.to_pylist():
        rows.setdefault((row["kind"], row["value"], member_of[row["account_id"]]), []).append(row)
    found: dict[tuple[str, str], KnownTrait] = {}
    for (kind, value, campaign_id), holding in sorted(rows.items(), key=lambda item: (len(item[1]), item[0])):
        one = holding[0]
        trait = KnownTrait(campaign_id, len(holding), one["account_count"], one["weight_bits"], one["durability"])
        if trait.members >= MIN_MEMBERS and trait.members >= LEAST_SHARE * trait.holders and trait.weight_bits > 0:
            found[kind, value] = trait
    return found
