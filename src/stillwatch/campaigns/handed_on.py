"""What a cluster's accounts handed on of the model's reasoning: the replay ledger, cut to one cluster, in numbers.

Why:    an analyst must see how much was replayed, between how many accounts and since when, without a single id.
Misses: what the ledger misses; see `rollups.replays`.
Source: own; see the replay ledger in docs/concepts.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ibis

from stillwatch.engines.base import IbisTable


@dataclass(frozen=True, slots=True)
class HandedOn:
    """Artefacts that members sent back though another owner had been issued them.

    `replaying_accounts` members that did; `origin_accounts` members whose artefacts they were; `from_members`,
    `from_outside` artefacts by where their origin is; `unissued` those issued before these logs; `set_aside` further
    artefacts that are no evidence: published, or brought in once or twice. Times are null when there are none.
    """

    artefacts: int = 0
    exchanges: int = 0
    replaying_accounts: int = 0
    origin_accounts: int = 0
    from_members: int = 0
    from_outside: int = 0
    unissued: int = 0
    set_aside: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


_COUNTS = (
    *("artefacts", "exchanges", "replaying_accounts", "origin_accounts"),
    *("from_members", "from_outside", "unissued", "set_aside"),
)


def handed_on_by(ledger: IbisTable, members: IbisTable) -> dict[int, HandedOn]:
    """What the members of each cluster sent back of others' reasoning; clusters without any are left out."""
    origins = members.select(origin_account_id="account_id", origin_cluster="cluster_id")
    rows = ledger.inner_join(members.select("account_id", "cluster_id"), "account_id")
    rows = rows.left_join(origins, "origin_account_id").drop("origin_account_id_right")
    is_carried = rows.reading == "carried"
    is_inside = is_carried & (rows.origin_cluster == rows.cluster_id).fill_null(False)
    sums = rows.group_by("cluster_id").aggregate(
        artefacts=rows.artefact.nunique(where=is_carried),
        exchanges=ibis.ifelse(is_carried, rows.exchanges, 0).sum().cast("int64"),
        replaying_accounts=rows.account_id.nunique(where=is_carried),
        origin_accounts=rows.origin_account_id.nunique(where=is_inside),
        from_members=rows.artefact.nunique(where=is_inside),
        from_outside=rows.artefact.nunique(where=is_carried & ~is_inside),
        unissued=rows.artefact.nunique(where=is_carried & ~rows.was_issued),
        set_aside=rows.artefact.nunique(where=~is_carried),
        first_at=rows.first_at.min(where=is_carried),
        last_at=rows.last_at.max(where=is_carried),
    )
    return {row["cluster_id"]: _handed_on(row) for row in sums.to_pyarrow().to_pylist()}


def _handed_on(row: dict[str, Any]) -> HandedOn:
    values: dict[str, Any] = {name: int(row[name]) for name in _COUNTS}
    return HandedOn(**values, first_at=_moment(row["first_at"]), last_at=_moment(row["last_at"]))


def _moment(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
