"""What is kept of each exchange for the tests of content: hashes, labels and counts, without its id or any text.

Why:    almost every exchange has a text of its own, so a sum by account, hour and text has as many rows as there are
        exchanges. What templates, items and harvests are read from is kept row by row, and narrowly.
Misses: the time between exchanges of one account, and anything said about an exchange that no test reads.
Source: samples that merge: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.

The smallest numbers of an account and day keep their embeddings. Of several parts the smallest of the union are the
smallest of the smallest, so parts merge, and a number under the key is as good as a lot.
"""

import ibis

from stillwatch.engines.base import IbisTable
from stillwatch.records import CONTENT

EMBEDDINGS_PER_DAY = 8  # of an account; 32 bytes each, and a mean of eight tells a narrow day from a broad one
DAY_S = 86_400


def content(signals: IbisTable) -> IbisTable:
    """One row per exchange; columns as in `records.CONTENT`. The signals have their `exchange_key`."""
    return sampled(unsampled(signals))


def unsampled(signals: IbisTable) -> IbisTable:
    """The same, with all embeddings."""
    place = ibis.coalesce(signals.client_ip_prefix, signals.client_ip)
    rest = [name for name in CONTENT.names if name not in ("exchange_id", "place")]
    return signals.select(*rest, exchange_id=signals.exchange_key, place=place).select(*CONTENT.names)


def sampled(rows: IbisTable) -> IbisTable:
    """The same rows with at most EMBEDDINGS_PER_DAY embeddings of an account and day."""
    return embedded(rows, chosen(rows))


def chosen(rows: IbisTable, has_embedding: IbisTable | None = None) -> IbisTable:
    """The numbers of the exchanges that keep their embeddings: one column, `exchange_id`, each once.

    `has_embedding` says which rows have one, where that can be told without reading them.
    """
    has_embedding = rows.embedding.notnull() if has_embedding is None else has_embedding
    embedded = rows.filter(has_embedding).select("account_id", "exchange_id", day=day(rows.started_at))
    rank = ibis.row_number().over(group_by=[embedded.account_id, embedded.day], order_by=embedded.exchange_id)
    ranked = embedded.mutate(rank=rank)
    return ranked.filter(ranked["rank"] < EMBEDDINGS_PER_DAY).select("exchange_id").distinct()


def embedded(rows: IbisTable, chosen: IbisTable) -> IbisTable:
    """The rows with the embeddings of the chosen exchanges only.

    These were ranked without their payload and are joined back: a window over whole rows would hold all of them.
    """
    joined = rows.left_join(chosen.mutate(is_chosen=ibis.literal(True)), "exchange_id")
    kept = joined.select(*rows.columns, "is_chosen")
    embedding = ibis.ifelse(kept.is_chosen.fill_null(False), kept.embedding, ibis.null(rows.embedding.type()))
    return kept.mutate(embedding=embedding).select(*rows.columns)


def day(at: IbisTable) -> IbisTable:
    """Days since 1970, UTC."""
    return (at.epoch_seconds() // DAY_S).cast("int64")
