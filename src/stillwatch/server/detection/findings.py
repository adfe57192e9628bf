"""What a detection found, from its output folder into SQL: campaigns, who is in them, and what is news about them.

A campaign's document holds no account id: those stand in a table of their own, where one can be taken out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stillwatch import store
from stillwatch.records import ACCUSING
from stillwatch.server import audit
from stillwatch.server.tables import analyst_verdicts, campaign_accounts, campaigns

GREW = 1.5  # times the accounts or exchanges that were told last
AUTHOR = "detection"
_CHUNK = 500  # accounts in one statement


@dataclass(frozen=True, slots=True)
class Output:
    """What a detection wrote: campaigns as in campaigns.json, the record of the run, campaigns of partners."""

    campaigns: Sequence[Mapping[str, Any]]
    run: Mapping[str, Any]
    recognised: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class News:
    """Something about a campaign, ours or recognised, that people are to be told."""

    kind: str
    campaign_id: str
    facts: dict[str, Any]


def output_of(out: Path) -> Output:
    """What stands in the output folder.

    Raises:
        StoreError: a file is damaged.
    """
    return Output(store.read_campaigns(out), store.read_run(out), store.read_recognised(out))


def record(connection: sa.Connection, found: Output, *, number: int, now: datetime) -> None:
    """Write the campaigns of a detection, and close those that it did not find any more."""
    known = {row.campaign_id: row for row in connection.execute(sa.select(campaigns))}
    for campaign in found.campaigns:
        _write(connection, campaign, known.get(campaign["campaign_id"]), number=number, now=now)
        _write_accounts(connection, campaign, now=now)
    gone = known.keys() - {campaign["campaign_id"] for campaign in found.campaigns}
    for campaign_id in sorted(name for name in gone if known[name].state == "open"):
        mine = campaigns.c.campaign_id == campaign_id
        connection.execute(campaigns.update().where(mine).values(state="dormant"))
        note(connection, campaign_id, "campaign.dormant", {"state": "open"}, {"state": "dormant"}, now)


def news(connection: sa.Connection) -> list[News]:
    """Open campaigns that are new, have another verdict or have grown since people were told; none that was cleared."""
    chosen = sa.select(campaigns).where(campaigns.c.state == "open", campaigns.c.verdict.in_(ACCUSING))
    cleared = cleared_subjects(connection, "campaign")
    found = []
    for row in connection.execute(chosen.order_by(campaigns.c.campaign_id)):
        if row.campaign_id in cleared:
            continue
        kind = _kind(row)
        if kind is not None:
            found.append(News(kind, row.campaign_id, _facts(row)))
    return found


def told(connection: sa.Connection, of: News) -> None:
    """Remember what people were told, so that they are told again only of more."""
    connection.execute(
        campaigns.update()
        .where(campaigns.c.campaign_id == of.campaign_id)
        .values(
            told_verdict=of.facts["verdict"],
            told_accounts=of.facts["accounts"],
            told_exchanges=of.facts["exchanges"],
        )
    )


def cleared_subjects(connection: sa.Connection, kind: str, among: Collection[str] | None = None) -> set[str]:
    """Campaigns or accounts whose newest verdict of an analyst is innocent; of the same moment innocent counts."""
    wanted = sa.select(analyst_verdicts).where(analyst_verdicts.c.subject_kind == kind)
    if among is not None:
        wanted = wanted.where(analyst_verdicts.c.subject.in_(sorted(among)))
    rows = list(connection.execute(wanted))
    rows.sort(key=lambda row: (row.decided_at, row.verdict == "innocent"))
    newest = {row.subject: row.verdict for row in rows}
    return {subject for subject, verdict in newest.items() if verdict == "innocent"}


def _write(connection: sa.Connection, campaign: Mapping[str, Any], before: Any, *, number: int, now: datetime) -> None:
    values = {
        "verdict": campaign["verdict"],
        "state": "open",
        "document": _document(campaign),
        "first_seen_at": datetime.fromisoformat(campaign["first_seen_at"]),
        "last_seen_at": datetime.fromisoformat(campaign["last_seen_at"]),
        "accounts": len(campaign["account_ids"]),
        "exchanges": campaign["exposure"]["exchanges"],
        "detected_at": now,
        "run": number,
    }
    name = campaign["campaign_id"]
    shown = {key: values[key] for key in ("verdict", "state", "accounts", "exchanges")}
    if before is None:
        connection.execute(campaigns.insert().values(campaign_id=name, **values))
        note(connection, name, "campaign.opened", None, shown, now)
        return
    connection.execute(campaigns.update().where(campaigns.c.campaign_id == name).values(**values))
    was = {key: getattr(before, key) for key in shown}
    if was != shown:
        note(connection, name, "campaign.changed", was, shown, now)


def _document(campaign: Mapping[str, Any]) -> Any:
    """The campaign without account ids, and without the one character that PostgreSQL keeps in no text."""
    kept = {name: value for name, value in campaign.items() if name not in ("account_ids", "compromised")}
    decisions = campaign["recommended_decisions"]
    counted = [{**one, "account_ids": None, "accounts": len(one["account_ids"])} for one in decisions]
    kept["recommended_decisions"] = [{k: v for k, v in one.items() if k != "account_ids"} for one in counted]
    return holdable(kept)


def holdable(value: Any) -> Any:
    """The document without the one character that PostgreSQL keeps in no text."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {holdable(name): holdable(inner) for name, inner in value.items()}
    return [holdable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _write_accounts(connection: sa.Connection, campaign: Mapping[str, Any], *, now: datetime) -> None:
    """Who joined, who left, who came back; an id that the database cannot hold is left out."""
    name, victims = campaign["campaign_id"], {victim["account_id"] for victim in campaign["compromised"]}
    mine = campaign_accounts.c.campaign_id == name
    before = {row.account_id: row for row in connection.execute(sa.select(campaign_accounts).where(mine))}
    members = {account_id for account_id in campaign["account_ids"] if "\0" not in account_id}
    joined = [
        {"campaign_id": name, "account_id": one, "joined_at": now, "is_compromised": int(one in victims)}
        for one in sorted(members - before.keys())
    ]
    if joined:
        connection.execute(campaign_accounts.insert(), joined)
    here = {account_id for account_id, row in before.items() if row.left_at is None}
    _mark(connection, name, here - members, left_at=now)
    _mark(connection, name, members & before.keys() - here, left_at=None)
    for is_victim in (0, 1):
        differs = {a for a in members & before.keys() if int(a in victims) == is_victim != before[a].is_compromised}
        _mark(connection, name, differs, is_compromised=is_victim)


def _mark(connection: sa.Connection, campaign_id: str, account_ids: Collection[str], **values: Any) -> None:
    ids = sorted(account_ids)
    for start in range(0, len(ids), _CHUNK):
        chosen = campaign_accounts.c.account_id.in_(ids[start : start + _CHUNK])
        mine = campaign_accounts.c.campaign_id == campaign_id
        connection.execute(campaign_accounts.update().where(mine, chosen).values(**values))


def note(
    connection: sa.Connection,
    subject: str,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    now: datetime,
) -> None:
    """Have the audit log hold what detection changed about a campaign, ours or recognised."""
    audit.record(connection, at=now, principal=AUTHOR, action=action, subject=subject, before=before, after=after)


def _kind(row: Any) -> str | None:
    """What is news about a campaign, if anything is."""
    if row.told_verdict is None:
        return "campaign.opened"
    worse = ACCUSING.index(row.verdict) < ACCUSING.index(row.told_verdict)
    grew = row.accounts >= GREW * row.told_accounts or row.exchanges >= GREW * row.told_exchanges
    return "campaign.grew" if worse or grew else None


def _facts(row: Any) -> dict[str, Any]:
    return {
        "campaign_id": row.campaign_id,
        "verdict": row.verdict,
        "accounts": row.accounts,
        "exchanges": row.exchanges,
        "first_seen_at": row.first_seen_at.isoformat(),
        "last_seen_at": row.last_seen_at.isoformat(),
        "verdict_before": row.told_verdict,
        "accounts_before": row.told_accounts,
        "exchanges_before": row.told_exchanges,
    }
