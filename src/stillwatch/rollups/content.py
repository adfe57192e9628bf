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
    place = ibis.coalesce(signals.client_ip_prefix, signals.client_ip)
    kept = signals.drop("exchange_id").rename(exchange_id="exchange_key").mutate(place=place)
    return sampled(kept.select(*CONTENT.names))


def sampled(rows: IbisTable) -> IbisTable:
    """The same rows with at most EMBEDDINGS_PER_DAY embeddings of an account and day."""
    order = [rows.embedding.isnull(), rows.exchange_id]
    rank = ibis.row_number().over(group_by=[rows.account_id, day(rows.started_at)], order_by=order)
    kept = ibis.ifelse(rank < EMBEDDINGS_PER_DAY, rows.embedding, ibis.null(rows.embedding.type()))
    return rows.mutate(embedding=kept)


def day(at: IbisTable) -> IbisTable:
    """Days since 1970, UTC."""
    return (at.epoch_seconds() // DAY_S).cast("int64")
