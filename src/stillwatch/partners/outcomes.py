"""What became of partners' leads here, and how much each sender's leads have been worth so far.

Why:    a sender earns its weight: what it sent proved right or wrong in campaigns of ours. Each of our campaigns counts
        once for a sender, however many leads of its matched, so that nobody gains by sending one thing as a hundred.
        Accounts in no campaign of ours count as one more for each of the sender's campaigns, once analysts judged them.
Misses: leads that match accounts in no campaign, and campaigns, that nobody has judged, say nothing either way.
Source: the rule of succession: Laplace, "Essai philosophique sur les probabilites", 1814.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


_BY_VERDICT: Final = {"distillation": Outcome.right, "explained": Outcome.wrong}  # of a campaign nobody has judged


@dataclass(frozen=True, slots=True)
class Match:
    """A lead that a campaign of ours bears, and what that proved to be; null while nobody knows.

    `campaign_ref` is the sender's campaign that the lead indicates: accounts in no campaign of ours count under it.
    """

    lead_id: str
    sender: str
    campaign_id: str | None
    outcome: Outcome | None
    accounts: int
    exchanges: int
    first_seen_at: datetime
    last_seen_at: datetime
    campaign_ref: str | None = None

    @property
    def counts_as(self) -> str | None:
        """The campaign that it counts under for its sender; null where it cannot count."""
        return self.campaign_id or self.campaign_ref


@dataclass(frozen=True, slots=True)
class Borne:
    """Who bears which lead: the sender's campaign of each lead, accounts by that campaign, and the campaigns of ours.

    `ours` has the campaign of each account that is in one.
    """

    campaign_ref: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, Collection[str]] = field(default_factory=dict)
    ours: Mapping[str, str] = field(default_factory=dict)

    def among(self, lead_id: str, campaign_id: str | None) -> list[str]:
        """The accounts that bear a lead and are in a campaign of ours; null: in none."""
        bearing = self.accounts.get(self.campaign_ref.get(lead_id, ""), ())
        return [one for one in bearing if self.ours.get(one) == campaign_id]


@dataclass(frozen=True, slots=True)
class Record:
    """How a sender has done here: campaigns in which its leads were right, and wrong."""

    right: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        """Share of its leads that prove right, (right + 1) / (n + 2)."""
        return (self.right + 1) / (self.right + self.wrong + 2)


def matches(lead_matches: pa.Table, verdicts: pa.Table, borne: Borne) -> list[Match]:
    """Every match of the last detection with its outcome: what analysts said, else what the campaign's verdict says.

    A `distillation` campaign makes a lead right, an `explained` one wrong. What analysts found of single accounts that
    bear the lead there stands over that once they judged most of them, and decides where the verdict says nothing;
    their word on the campaign stands over both.
    """
    said = {kind: newest(verdicts, kind) for kind in ("account", "campaign")}
    return [
        Match(
            row["lead_id"],
            row["sender"],
            row["campaign_id"],
            said["campaign"].get(row["campaign_id"])
            or _of_accounts(
                [said["account"].get(one) for one in borne.among(row["lead_id"], row["campaign_id"])],
                _BY_VERDICT.get(row["verdict"]),
            ),
            row["accounts"],
            row["exchanges"],
            row["first_seen_at"],
            row["last_seen_at"],
            borne.campaign_ref.get(row["lead_id"]),
        )
        for row in lead_matches.to_pylist()
    ]


def newest(verdicts: pa.Table, subject_kind: str) -> dict[str, Outcome]:
    """What analysts found last of every subject of that kind; of two verdicts of one moment, innocent counts."""
    rows = [row for row in verdicts.to_pylist() if row["subject_kind"] == subject_kind]
    rows.sort(key=lambda row: (row["decided_at"], row["verdict"] == "innocent"))
    return {row["subject"]: Outcome.right if row["verdict"] == "guilty" else Outcome.wrong for row in rows}


def _of_accounts(found: Sequence[Outcome | None], otherwise: Outcome | None) -> Outcome | None:
    """What most of the judged accounts proved to be, where most are judged or nothing else is known."""
    counts = Counter(one for one in found if one is not None)
    right, wrong = counts[Outcome.right], counts[Outcome.wrong]
    if right == wrong or (otherwise is not None and 2 * (right + wrong) <= len(found)):
        return otherwise
    return Outcome.right if right > wrong else Outcome.wrong


def remember(out: Path, found: Iterable[Match], *, now: datetime) -> int:
    """Keep the outcomes beside the inbox, the newest of a sender and campaign; how many changed.

    Raises:
        StoreError: the file is damaged, or cannot be written.
    """
    path = out / FOLDER / FILE
    kept = {(row["sender"], row["campaign_id"]): row for row in _rows(path) if _is_remembered(row, now)}
    changed = 0
    for match in sorted(found, key=lambda match: (match.sender, match.lead_id, match.counts_as or "")):
        if match.counts_as is None:
            continue
        key = (match.sender, match.counts_as)
        if match.outcome is None:  # it was judged before and is open again: an analyst took a verdict back
            changed += kept.pop(key, None) is not None
        elif kept.get(key, {}).get("outcome") != match.outcome:
            kept[key] = {
                "sender": match.sender,
                "campaign_id": match.counts_as,
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
