"""What rows of exchanges add up to for each value of a key: volume, items, intents, capabilities, and days of them."""

from collections.abc import Mapping
from typing import Any

import ibis

from stillwatch.campaigns.days import Days, as_days
from stillwatch.campaigns.embeddings import Embeddings
from stillwatch.campaigns.facts import Usage
from stillwatch.engines.base import IbisTable
from stillwatch.records import EMBEDDING_SIZE, INTENTS


def senders_by(rows: IbisTable, key: str) -> IbisTable:
    """How often each account of a value of `key` sent each item: these three, `n`, first `day`, least `exchange_id`."""
    rows = rows.mutate(day=_day(rows))
    return rows.group_by([*dict.fromkeys((key, "account_id", "item_id"))]).aggregate(
        n=ibis._.count(), day=ibis._.day.min(), exchange_id=ibis._.exchange_id.min()
    )


def usage_by(rows: IbisTable, key: str, senders: IbisTable | None = None) -> dict[Any, Usage]:
    """Usage of each value of `key` over rows of templated exchanges; `senders` of them where these were counted."""
    senders = senders_by(rows, key) if senders is None else senders
    items = senders.group_by([key, "item_id"]).aggregate(exchanges=ibis._.n.sum(), accounts=ibis._.count())
    spread = items.group_by(key).aggregate(
        items=ibis._.item_id.count(),
        copies=(ibis._.exchanges * (ibis._.accounts - 1)).sum(),
        repeated=(ibis._.exchanges - ibis._.accounts).sum(),
    )
    sums = rows.group_by(key).aggregate(
        exchanges=ibis._.count(),
        accounts=ibis._.account_id.nunique(),
        output_tokens=ibis._.output_tokens.fill_null(0).sum(),
        reasoning_tokens=ibis._.reasoning_tokens.fill_null(0).sum(),
        **intent_counts(rows),
    )
    embeddings = {row[key]: row for row in _embedded(rows, key)}
    mixes: dict[Any, dict[str, int]] = {}
    shown = rows.filter(rows.capability.notnull()).group_by([key, "capability"]).aggregate(n=ibis._.count())
    for row in shown.to_pyarrow().to_pylist():
        mixes.setdefault(row[key], {})[row["capability"]] = int(row["n"])
    joined = sums.join(spread, key).to_pyarrow().to_pylist()
    return {row[key]: _usage(row, mixes.get(row[key], {}), embeddings.get(row[key])) for row in joined}


def days_by(rows: IbisTable, key: str, senders: IbisTable | None = None) -> tuple[list[Any], Days]:
    """Each value of `key` in order, and what it did day by day over rows as for `usage_by`."""
    senders = senders_by(rows, key) if senders is None else senders
    rows = rows.mutate(day=_day(rows))
    sent = senders.filter(senders.item_id.notnull())
    if key != "account_id":  # of an account each item is there once
        sent = sent.group_by([key, "item_id"]).aggregate(day=ibis._.day.min())
    new = sent.group_by([key, "day"]).aggregate(items=ibis._.count())
    counts = intent_counts(rows)
    sums = rows.group_by([key, "day"]).aggregate(exchanges=ibis._.count(), **counts)
    joined = sums.left_join(new, [key, "day"]).select(key, "day", "exchanges", "items", *counts)
    return as_days(joined.to_pyarrow(), key)


def _day(rows: IbisTable) -> IbisTable:
    return (rows.started_at.epoch_seconds() // 86400).cast("int64").fill_null(0)


def _embedded(rows: IbisTable, key: str) -> list[dict[str, Any]]:
    """Exchanges with an embedding, and the sum of each component."""
    told = rows.filter(rows.embedding.notnull()).group_by(key)
    sums = told.aggregate(**component_sums(), embedded=ibis._.embedding.count())
    return list(sums.to_pyarrow().to_pylist())


def component_sums() -> dict[str, IbisTable]:
    """The sum of each component of embeddings; integers, so any order agrees."""
    parts = {f"embedding_{i}": ibis._.embedding[i] for i in range(EMBEDDING_SIZE)}
    return {name: part.cast("int32").sum().cast("int64") for name, part in parts.items()}


def intent_counts(rows: IbisTable) -> dict[str, IbisTable]:
    """Exchanges with each intent; arithmetic, because bit operators differ between engines."""
    return {name: ((rows.intents.fill_null(0) // (1 << bit)) % 2).sum() for bit, name in enumerate(INTENTS)}


def _usage(row: Mapping[str, Any], mix: Mapping[str, int], embedded: Mapping[str, Any] | None) -> Usage:
    names = [f"embedding_{i}" for i in range(EMBEDDING_SIZE)]
    sums = [int(embedded[name]) for name in names] if embedded else [0] * EMBEDDING_SIZE
    return Usage(
        exchanges=int(row["exchanges"]),
        items=int(row["items"]),
        accounts=int(row["accounts"]),
        copies=int(row["copies"]),
        repeated_exchanges=int(row["repeated"]),
        output_tokens=int(row["output_tokens"]),
        reasoning_tokens=int(row["reasoning_tokens"]),
        intents=tuple(int(row.get(name, 0)) for name in INTENTS),
        capabilities=dict(mix),
        embeddings=Embeddings(exchanges=int(embedded["embedded"]) if embedded else 0, sums=tuple(sums)),
    )
