"""Campaigns of partners that detections recognise, in SQL, and what is news about them.

Nothing here accuses anybody or decides anything: decisions are made from `campaigns` alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillwatch.recognised import SUPPORTS
from stillwatch.server.detection.findings import GREW, News, holdable, note
from stillwatch.server.tables import recognised_campaigns as table

FOUND, GROWN = "recognised.found", "recognised.grew"


def record(connection: sa.Connection, found: Sequence[Mapping[str, Any]], *, number: int, now: datetime) -> None:
    """Write what a detection recognised, and close what it did not recognise any more."""
    known = {row.campaign_ref: row for row in connection.execute(sa.select(table))}
    for one in found:
        _write(connection, one, known.get(one["campaign_ref"]), number=number, now=now)
    gone = known.keys() - {one["campaign_ref"] for one in found}
    for name in sorted(name for name in gone if known[name].state == "open"):
        connection.execute(table.update().where(table.c.campaign_ref == name).values(state="dormant"))
        note(connection, name, "recognised.dormant", {"state": "open"}, {"state": "dormant"}, now)


def news(connection: sa.Connection) -> list[News]:
    """What is recognised and new, has grown, or has more to speak for it, since people were told.

    What our own logs contradict is not told.
    """
    chosen = sa.select(table).where(table.c.state == "open", table.c.support != "contradicted")
    rows = connection.execute(chosen.order_by(table.c.campaign_ref))
    return [News(kind, row.campaign_ref, _facts(row)) for row in rows if (kind := _kind(row)) is not None]


def told(connection: sa.Connection, of: News) -> None:
    """Remember what people were told, so that they are told again only of more."""
    mine = table.c.campaign_ref == of.campaign_id
    connection.execute(
        table.update().where(mine).values(told_support=of.facts["support"], told_accounts=of.facts["accounts"])
    )


def _write(connection: sa.Connection, one: Mapping[str, Any], before: Any, *, number: int, now: datetime) -> None:
    values = {
        "sender": one["sender"],
        "state": "open",
        "support": one["support"],
        "document": holdable({name: value for name, value in one.items() if name != "account_ids"}),
        "first_seen_at": datetime.fromisoformat(one["first_seen_at"]),
        "last_seen_at": datetime.fromisoformat(one["last_seen_at"]),
        "accounts": len(one["account_ids"]),
        "exchanges": one["exchanges"],
        "detected_at": now,
        "run": number,
    }
    name = one["campaign_ref"]
    shown = {key: values[key] for key in ("state", "support", "accounts", "exchanges")}
    if before is None:
        connection.execute(table.insert().values(campaign_ref=name, **values))
        note(connection, name, FOUND, None, shown, now)
        return
    connection.execute(table.update().where(table.c.campaign_ref == name).values(**values))
    was = {key: getattr(before, key) for key in shown}
    if was != shown:
        note(connection, name, "recognised.changed", was, shown, now)


def _kind(row: Any) -> str | None:
    """What is news about it, if anything is."""
    if row.told_accounts is None:
        return FOUND
    firmer = SUPPORTS.index(row.support) < SUPPORTS.index(row.told_support)
    return GROWN if firmer or row.accounts >= GREW * row.told_accounts else None


def _facts(row: Any) -> dict[str, Any]:
    return {
        "campaign_ref": row.campaign_ref,
        "sender": row.sender,
        "sender_verdict": row.document["sender_verdict"],
        "precision": row.document["precision"],
        "support": row.support,
        "because": row.document["because"],
        "innocent_reading": row.document["innocent"],
        "accounts": row.accounts,
        "accounts_in_no_campaign": row.document["outside"],
        "exchanges": row.exchanges,
        "first_seen_at": row.first_seen_at.isoformat(),
        "last_seen_at": row.last_seen_at.isoformat(),
        "accounts_before": row.told_accounts,
        "support_before": row.told_support,
    }
