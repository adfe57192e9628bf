"""Every account of the logs: when it was active, and how much of its traffic bears its campaign's own prompts.

Why:    whoever asks why an account is, or is not, in a campaign first needs to know whether the scan saw it at all.
"""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.engines.base import IbisTable
from stillwatch.records import SEEN, arrow_schema


def seen(activity: IbisTable, bearing: IbisTable, *, members: pa.Table, organisations: Collection[str]) -> pa.Table:
    """One row per account, by name; columns as in `records.SEEN`.

    `bearing` are the exchanges that bear a prompt of their own cluster, with the `member` as `account_id`; `members`
    those of campaigns, each with its number, and `organisations` the accounts that a verified organisation speaks for.
    """
    totals = activity.group_by("account_id").aggregate(
        exchanges=activity.exchanges.sum().cast("int64"),
        first_seen_at=activity.hour_at.min(),
        last_seen_at=activity.hour_at.max(),
    )
    table = _with_bearing(totals.to_pyarrow(), bearing, members)
    verified = pc.is_in(table["account_id"], pa.array(sorted(organisations), pa.string()))
    table = table.append_column("is_verified_organisation", verified)
    return table.select(list(SEEN.names)).sort_by("account_id").cast(arrow_schema(SEEN))


def _with_bearing(totals: pa.Table, bearing: IbisTable, members: pa.Table) -> pa.Table:
    """The totals with `bearing_exchanges`: null outside campaigns, and in one that has no prompts of its own."""
    counted = bearing.group_by(["cluster_id", "account_id"]).aggregate(n=bearing.count()).to_pyarrow()
    sent = dict(zip(counted["account_id"].to_pylist(), counted["n"].to_pylist(), strict=True))
    speaking = set(counted["cluster_id"].to_pylist())
    rows = zip(*(members[name].to_pylist() for name in ("account_id", "cluster_id", "member")), strict=True)
    known = {account_id: int(sent.get(number, 0)) for account_id, cluster, number in rows if cluster in speaking}
    column = pa.array([known.get(account_id) for account_id in totals["account_id"].to_pylist()], pa.int64())
    return totals.append_column("bearing_exchanges", column)
