"""What became of partners' leads here, and how much each sender's leads have been worth so far.

Why:    a sender earns its weight: what it sent proved right or wrong in campaigns of ours. Each of our campaigns counts
        once for a sender, however many leads of its matched, so that nobody gains by sending one thing as a hundred.
Misses: leads that match accounts in no campaign, and campaigns that nobody has judged, say nothing either way.
Source: the rule of succession: Laplace, "Essai philosophique sur les probabilites", 1814.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stillwatch import store
from stillwatch.errors import StoreError
from stillwatch.partners.inbox import FOLDER
from stillwatch.partners.moments import moment, written

FILE: Final = "outcomes.json"
REMEMBERED: Final = timedelta(days=365)  # after that an outcome counts no more, for or against
LEAST_PRECISION: Final = 0.2  # below it a sender's leads are left out: after four wrong ones and none that was right


class Outcome(StrEnum):
    """What a match proved to be."""

    right = "right"
    wrong = "wrong"


@dataclass(frozen=True, slots=True)
class Match:
    """A lead that a campaign of ours bears, and what that proved to be; null while nobody knows."""

    lead_id: str
    sender: str
    campaign_id: str | None
    outcome: Outcome | None
    accounts: int
    exchanges: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """How a sender has done here: campaigns of ours in which its leads were right, and wrong."""

    right: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        """Share of its leads that prove right, (right + 1) / (n + 2)."""
        return (self.right + 1) / (self.right + self.wrong + 2)


def matches(lead_matches: pa.Table, verdicts: pa.Table) -> list[Match]:
    """Every match of the last detection with its outcome: what an analyst said, else what the campaign's verdict says.

    A `distillation` campaign makes a lead right, an `explained` one wrong; an analyst's word on the campaign stands
    over both.
    """
    said = {row["subject"]: row["verdict"] for row in sorted(verdicts.to_pylist(), key=lambda row: row["decided_at"])}
    return [
        Match(
            row["lead_id"],
            row["sender"],
            row["campaign_id"],
            _outcome(row["verdict"], said.get(row["campaign_id"])),
            row["accounts"],
            row["exchanges"],
            row["first_seen_at"],
            row["last_seen_at"],
        )
        for row in lead_matches.to_pylist()
    ]


def _outcome(verdict: str | None, said: str | None) -> Outcome | None:
    if said is not None:
        return Outcome.right if said == "guilty" else Outcome.wrong
    return {"distillation": Outcome.right, "explained": Outcome.wrong}.get(verdict or "")


def remember(out: Path, found: Iterable[Match], *, now: datetime) -> int:
    """Keep the outcomes beside the inbox, the newest of a sender and campaign; how many changed.

    Raises:
        StoreError: the file is damaged, or cannot be written.
    """
    path = out / FOLDER / FILE
    kept = {(row["sender"], row["campaign_id"]): row for row in _rows(path) if _is_remembered(row, now)}
    changed = 0
    for match in sorted(found, key=lambda match: (match.sender, match.lead_id, match.campaign_id or "")):
        if match.campaign_id is None:
            continue
        key = (match.sender, match.campaign_id)
        if match.outcome is None:  # it was judged before and is open again: an analyst took a verdict back
            changed += kept.pop(key, None) is not None
        elif kept.get(key, {}).get("outcome") != match.outcome:
            kept[key] = {
                "sender": match.sender,
                "campaign_id": match.campaign_id,
                "outcome": match.outcome.value,
                "decided_at": written(now),
            }
            changed += 1
    if changed or len(kept) != len(_rows(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write_json(path, [kept[key] for key in sorted(kept)])
    return changed


def records(out: Path, *, now: datetime) -> dict[str, Record]:
    """How every sender has done, by the id of its identity.

    Raises:
        StoreError: the file is damaged.
    """
    found: dict[str, Record] = {}
    for row in _rows(out / FOLDER / FILE):
        if _is_remembered(row, now):
            before = found.get(row["sender"], Record())
            is_right = row["outcome"] == Outcome.right
            found[row["sender"]] = Record(before.right + is_right, before.wrong + (not is_right))
    return found


def _is_remembered(row: Mapping[str, Any], now: datetime) -> bool:
    at = moment(row["decided_at"])
    return at is not None and at > now - REMEMBERED


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows:
            Outcome(row["outcome"])
            _ = row["sender"], row["campaign_id"], row["decided_at"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged. Remove it: every sender then begins anew.") from error
    return list(rows)
