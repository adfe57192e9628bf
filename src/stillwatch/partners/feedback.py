"""Feedback: what became of a partner's leads here, for that partner alone; and what partners say of ours.

Why:    a sender can only do better when it is told what was right and what was wrong.
Misses: leads that met fewer than five accounts, and what became of a lead after it expired.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from stillwatch import sharing, store
from stillwatch.errors import StoreError
from stillwatch.partners.inbox import FOLDER, Inbox
from stillwatch.partners.moments import moment
from stillwatch.partners.outbound import Sending, through_gate
from stillwatch.partners.outcomes import Borne, Match, Outcome, matches, remember
from stillwatch.partners.received import Standing
from stillwatch.records import LEAD_KIND, LEAD_MATCHES, arrow_schema
from stillwatch.sharing.gate import Considered
from stillwatch.sharing.traits import LEAST_HOLDERS

MATCHED: Final = "matched.json"  # leads that ever met an account here
TOLD_FOR: Final = timedelta(days=30)  # a lead that met nobody is told of for so long after it expired
_VERDICTS: Final[Mapping[Outcome | None, str | None]] = {
    Outcome.right: "distillation",
    Outcome.wrong: "explained",
    None: None,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a partner said of an indicator of ours: times it saw it, what became of it, and its opinion."""

    partner: str
    indicator: str
    count: int
    outcome: str | None
    opinion: str | None
    at: datetime


def read_matches(out: Path) -> list[Match]:
    """Every match of the last detection of a folder, with its outcome; none when there was no detection with leads.

    Raises:
        StoreError: a file is damaged.
    """
    empty = arrow_schema(LEAD_MATCHES).empty_table()
    table = store.read_table(out, store.LEAD_MATCHES) if (out / store.LEAD_MATCHES).is_file() else empty
    return matches(table, store.read_verdicts(out), _borne(out) if table.num_rows else Borne())


def _borne(out: Path) -> Borne:
    """Who bears which lead, by the last detection."""
    ours = {one: campaign["campaign_id"] for campaign in store.read_campaigns(out) for one in campaign["account_ids"]}
    leads = store.read_leads(out).select(["lead_id", "campaign_ref"])
    told = dict(
        zip(*(column.to_pylist() for column in leads.group_by(leads.column_names).aggregate([]).columns), strict=True)
    )
    accounts: dict[str, list[str]] = {}
    if (out / store.LINKS).is_file():
        links = store.read_table(out, store.LINKS)
        for row in links.filter(pc.equal(links["kind"], LEAD_KIND)).select(["value", "account_id"]).to_pylist():
            accounts.setdefault(row["value"], []).append(row["account_id"])
    return Borne(told, accounts, ours)


def learn(inbox: Inbox, *, now: datetime) -> list[Match]:
    """Take the last detection's matches into the record of every sender; the matches.

    Raises:
        StoreError: a file is damaged, or cannot be written.
    """
    found = read_matches(inbox.out)
    remember(inbox.out, found, now=now)
    known = _matched(inbox)
    met = known | {match.lead_id for match in found if match.accounts}
    if met != known:
        inbox.folder.mkdir(parents=True, exist_ok=True)
        store.write_json(inbox.folder / MATCHED, sorted(met))
    return found


def feedback(inbox: Inbox, partner: str, under: Sending, *, before: Mapping[str, Mapping[str, Any]]) -> Considered:
    """What would leave to tell a partner what became of the leads it sent; `before` is what it was sent earlier.

    Raises:
        SharingError: an object holds what must not leave.
        StoreError: there was no scan in the folder, or a file is damaged.
    """
    run = store.read_run(inbox.out)
    if not run:
        raise StoreError(f"there was no scan in {inbox.out}. Run `stillwatch scan LOGS --out {inbox.out}` first.")
    rows = list(_rows(inbox, partner, read_matches(inbox.out), under.now))
    practice = sharing.Practice(least_accounts=under.limits.least_holders)
    objects = sharing.objects_of(
        [], now=under.now, tlp=under.tlp, key_id=run.get("key_id"), matches=rows, practice=practice
    )
    return through_gate(objects, under, store.read_campaigns(inbox.out), before=before)


def said(inbox: Inbox) -> list[Said]:
    """What partners said of indicators of ours, newest first.

    Raises:
        StoreError: the inbox is damaged.
    """
    found = [
        Said(
            name,
            indicator,
            received.body.get("count", 0),
            received.body.get("outcome"),
            received.body.get("opinion"),
            received.modified_at,
        )
        for name in inbox.partners()
        for received in inbox.objects(name).values()
        if received.kind in ("sighting", "opinion") and received.standing is Standing.current
        for indicator in _about(received.body)
    ]
    return sorted(found, key=lambda one: (one.at, one.partner, one.indicator), reverse=True)


def _about(body: Mapping[str, Any]) -> Sequence[str]:
    about = body["of"]
    return [about] if isinstance(about, str) else about


def _rows(inbox: Inbox, partner: str, found: Iterable[Match], now: datetime) -> Iterator[dict[str, Any]]:
    """Rows as in `records.LEAD_MATCHES`: what enough accounts bear, and leads that expired without a match."""
    senders = frozenset(inbox.senders(partner))
    own = [match for match in found if match.sender in senders]
    accounts: dict[str, int] = {}
    for match in own:
        accounts[match.lead_id] = accounts.get(match.lead_id, 0) + match.accounts
    for match in own:
        if accounts[match.lead_id] >= LEAST_HOLDERS:
            yield _row(match.lead_id, match.first_seen_at, match.last_seen_at) | {
                "verdict": _VERDICTS[match.outcome],
                "accounts": match.accounts,
                "exchanges": match.exchanges,
            }
    met = _matched(inbox) | accounts.keys()
    for received in inbox.objects(partner).values():
        since, until = (moment(received.body.get(name)) for name in ("valid_from", "valid_until"))
        is_miss = received.kind == "indicator" and received.object_id not in met
        if is_miss and since is not None and until is not None and now - TOLD_FOR < until <= now:
            yield _row(received.object_id, since, until) | {"verdict": None, "accounts": 0, "exchanges": 0}


def _row(lead_id: str, since: datetime, until: datetime) -> dict[str, Any]:
    return {"lead_id": lead_id, "first_seen_at": since, "last_seen_at": until}


def _matched(inbox: Inbox) -> set[str]:
    path = inbox.out / FOLDER / MATCHED
    if not path.exists():
        return set()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path} is damaged. Remove it: old leads may then be told as missed.") from error
    return {one for one in told if isinstance(one, str)}
