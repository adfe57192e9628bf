"""Exchanges and tokens per account, hour, model and capability.

Why:    exposure, timelines, model pivots and coordinated timing are all sums over this table.
Misses: anything finer than an hour.
Source: own design; sums of counts are the textbook mergeable summary.
"""

import ibis

from stillwatch.engines.base import IbisTable
from stillwatch.rollups.sums import total

HOUR_S = 3600
_SUMMED = ("exchanges", "input_tokens", "output_tokens", "reasoning_tokens")


def activity(signals: IbisTable) -> IbisTable:
    """One row per account, hour, model and capability; columns as in `records.ACTIVITY`."""
    # Integer arithmetic, because truncating a zoned time needs a time-zone extension on some engines.
    hour_s = (signals.started_at.epoch_seconds() // HOUR_S) * HOUR_S
    keyed = signals.mutate(hour_at=hour_s.cast("int64").as_timestamp("s").cast("timestamp('UTC', 6)"))
    return keyed.group_by(["account_id", "hour_at", "model", "capability"]).aggregate(
        exchanges=ibis._.count().cast("int64"),
        input_tokens=_total("input_tokens"),
        output_tokens=_total("output_tokens"),
        reasoning_tokens=_total("reasoning_tokens"),
    )


def merged_activity(partial: IbisTable) -> IbisTable:
    """Rows of several partial tables under one key each."""
    sums = {name: total(partial[name]) for name in _SUMMED}
    return partial.group_by(["account_id", "hour_at", "model", "capability"]).aggregate(**sums)


def _total(column: str) -> IbisTable:
    """Sum with missing counted as zero, as int64: DuckDB would widen it to a type Parquet stores as a double."""
    return total(ibis._[column].fill_null(0))
