"""Campaigns that stay known: who was in them, until when, and their marks, also while no scan finds them.

Why:    a campaign that is banned today may come back in three weeks; by then it stands in no output of a scan any more.
Misses: what went silent longer than DORMANT_DAYS ago; accounts beyond the MAX_ACCOUNTS with most exchanges.
Source: own; docs/concepts.md says what is kept and how it is erased.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.campaigns.marks import Marks, as_json, from_json
from stillwatch.engines.base import Engine, IbisTable

DORMANT_DAYS = 90  # after its last exchange a campaign, or an account of one, is forgotten
MAX_KNOWN = 500  # campaigns kept, newest activity first
MAX_ACCOUNTS = 50_000  # accounts kept of each, most exchanges first


@dataclass(frozen=True, slots=True)
class Span:
    """What is known of one account: exchanges in the last run that had it in the campaign, and from when to when.

    `is_member` says whether it was a member when the campaign was last found; times are starts of hours.
    """

    exchanges: int
    first_seen_at: datetime
    last_seen_at: datetime
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """One campaign as it is remembered from run to run."""

    campaign_id: str
    verdict: str
    accounts: Mapping[str, Span]
    marks: Marks | None = None
    lineage: Sequence[Mapping[str, Any]] = ()
    displacement: Sequence[Mapping[str, Any]] = ()

    @property
    def members(self) -> dict[str, Span]:
        """The accounts that were members when it was last found."""
        return {account_id: span for account_id, span in self.accounts.items() if span.is_member}

    @property
    def last_seen_at(self) -> datetime:
        """Its latest exchange."""
        return max(span.last_seen_at for span in self.accounts.values())


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs and this one know of accounts: `spans` of this window, which ends at `ended_at`."""

    known: Sequence[Known] = ()
    spans: Mapping[str, Span] | None = None
    ended_at: datetime | None = None


def past(
    known: Sequence[Known], activity: IbisTable, members: Collection[str], earlier: pa.Table, engine: Engine
) -> Past:
    """The past of this window's members and of every account in a known campaign.

    `earlier` is the seen table of the last run: whoever it saw is no newcomer.
    """
    wanted = sorted({*members, *(account_id for campaign in known for account_id in campaign.accounts)})
    ids = engine.memory(pa.table({"account_id": pa.array(wanted, pa.string())}))
    grouped = activity.semi_join(ids, "account_id").group_by("account_id")
    rows = grouped.aggregate(
        exchanges=ibis._.exchanges.sum().cast("int64"), first=ibis._.hour_at.min(), last=ibis._.hour_at.max()
    )
    found = rows.to_pyarrow().to_pylist()
    spans = {row["account_id"]: Span(row["exchanges"], row["first"], row["last"]) for row in found}
    seen = earlier.filter(pc.is_in(earlier["account_id"], pa.array(list(spans), pa.string())))
    for row in seen.select(["account_id", "first_seen_at"]).to_pylist():
        spans[row["account_id"]] = _since(spans[row["account_id"]], row["first_seen_at"])
    ended_at = activity.hour_at.max().to_pyarrow().as_py()
    return Past(known, spans, ended_at)


def updated(
    campaign_id: str, account_ids: Iterable[str], marks: Marks, of: Past, *, verdict: str = "insufficient_data"
) -> Known:
    """A campaign of this run with what was known of it: its members anew, former ones for as long as they are kept."""
    before = next((campaign for campaign in of.known if campaign.campaign_id == campaign_id), None)
    former = {} if before is None else before.accounts
    accounts = {account_id: replace(span, is_member=False) for account_id, span in renewed(former, of).items()}
    for account_id in account_ids:
        span = (of.spans or {}).get(account_id)
        if span is not None:
            known = former.get(account_id)
            accounts[account_id] = span if known is None else _since(span, known.first_seen_at)
    return Known(campaign_id, verdict, dict(sorted(accounts.items())), marks)


def renewed(accounts: Mapping[str, Span], of: Past) -> dict[str, Span]:
    """The accounts with what this window saw of them: none of them has stopped while it is still active."""
    return {
        account_id: span if (today := (of.spans or {}).get(account_id)) is None else _until(span, today.last_seen_at)
        for account_id, span in accounts.items()
    }


def remembered(campaigns: Sequence[Mapping[str, Any]], of: Past) -> list[Known]:
    """What the next run should know: the campaigns of this run, and dormant ones that are not too old."""
    found = [
        replace(
            updated(told["campaign_id"], told["account_ids"], from_json(told["marks"]), of, verdict=told["verdict"]),
            lineage=told["lineage"],
            displacement=told["displacement"],
        )
        for told in campaigns
    ]
    names = {campaign.campaign_id for campaign in found}
    dormant = [replace(old, accounts=renewed(old.accounts, of)) for old in of.known if old.campaign_id not in names]
    kept = [_trimmed(campaign, of.ended_at) for campaign in (*found, *dormant)]
    kept = [campaign for campaign in kept if campaign.accounts]
    return sorted(kept, key=lambda campaign: (-campaign.last_seen_at.timestamp(), campaign.campaign_id))[:MAX_KNOWN]


def _trimmed(campaign: Known, ended_at: datetime | None) -> Known:
    oldest = None if ended_at is None else ended_at - timedelta(days=DORMANT_DAYS)
    recent = {name: span for name, span in campaign.accounts.items() if oldest is None or span.last_seen_at >= oldest}
    most = sorted(recent, key=lambda name: (not recent[name].is_member, -recent[name].exchanges, name))[:MAX_ACCOUNTS]
    return replace(campaign, accounts={name: recent[name] for name in sorted(most)})


def _since(span: Span, first_seen_at: datetime) -> Span:
    return replace(span, first_seen_at=min(span.first_seen_at, first_seen_at))


def _until(span: Span, last_seen_at: datetime) -> Span:
    return replace(span, last_seen_at=max(span.last_seen_at, last_seen_at))


def known_json(campaign: Known) -> dict[str, Any]:
    """A known campaign as its schema has it."""
    return {
        "campaign_id": campaign.campaign_id,
        "verdict": campaign.verdict,
        "last_seen_at": campaign.last_seen_at.isoformat(),
        "accounts": [
            {
                "account_id": account_id,
                "exchanges": span.exchanges,
                "first_seen_at": span.first_seen_at.isoformat(),
                "last_seen_at": span.last_seen_at.isoformat(),
                "is_member": span.is_member,
            }
            for account_id, span in campaign.accounts.items()
        ],
        "marks": None if campaign.marks is None else as_json(campaign.marks),
        "lineage": list(campaign.lineage),
        "displacement": list(campaign.displacement),
    }


def known_campaign(told: Mapping[str, Any]) -> Known:
    """A known campaign as an earlier run kept it."""
    return Known(
        campaign_id=told["campaign_id"],
        verdict=told["verdict"],
        accounts={row["account_id"]: _span(row) for row in told["accounts"]},
        marks=None if told["marks"] is None else from_json(told["marks"]),
        lineage=told["lineage"],
        displacement=told["displacement"],
    )


def _span(row: Mapping[str, Any]) -> Span:
    first, last = (datetime.fromisoformat(row[name]) for name in ("first_seen_at", "last_seen_at"))
    return Span(row["exchanges"], first, last, row["is_member"])
