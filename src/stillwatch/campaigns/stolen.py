"""Members whose key looks stolen: a customer's own work goes on from its own addresses, a campaign's comes from others.

Why:    the holder of a stolen key is a victim. It must be told, and never be treated as the one who took the key.
Misses: keys used from the holder's own machines; holders who had hardly begun when the key was taken; holders who move
        between addresses all the time. An operator who plays a holder for days from addresses kept apart is taken for
        one, and gets no further than verification by it.
Source: own; stolen keys of legitimate firms are named in the disclosures of 10 September 2026.

    1. Home: the address ranges of an account before its first exchange with the campaign's wordings.
    2. A victim worked from home before, for a while and not with these wordings; the campaign's exchanges come from
       elsewhere; and work from home goes on beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import pyarrow as pa

from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.gather import Tables
from stillwatch.engines.base import Engine, IbisTable

MIN_BEFORE = 10  # exchanges before the first of the campaign's
MIN_BEFORE_DAYS = 2.0  # from the first exchange to the first of the campaign's
MIN_BESIDE = 10  # exchanges from home since
MAX_BORNE_AT_HOME = 0.1  # of the campaign's exchanges that may come from home
MAX_BORNE_OF_HOME = 0.1  # of the later exchanges from home that may be the campaign's
MAX_CAMPAIGN_SHARE = 0.8  # of the account's exchanges that come from elsewhere since; a victim's key is used in part


def stolen_keys(tables: Tables, engine: Engine, campaigns: Sequence[Facts]) -> dict[str, str]:
    """Members of the campaigns whose key looks stolen, with the reason in words; none without addresses."""
    pairs = [(account, n) for n, one in enumerate(campaigns) for account in one.account_ids]
    wordings = [(n, use.template_id) for n, one in enumerate(campaigns) for use in one.templates]
    if not pairs or not wordings:
        return {}
    members = {"account_id": [a for a, _ in pairs], "campaign": pa.array([n for _, n in pairs], pa.int64())}
    own = {"campaign": pa.array([n for n, _ in wordings]), "template_id": pa.array([t for _, t in wordings])}
    rows = _placed(tables.templated, engine.memory(pa.table(members)), engine.memory(pa.table(own)))
    counted = _counted(rows).to_pyarrow().to_pylist()
    return {row["account_id"]: _because(row) for row in sorted(counted, key=_account) if _is_victim(row)}


def marked(campaigns: Sequence[Facts], stolen: Mapping[str, str]) -> list[Facts]:
    """The same campaigns, each with those of its members whose key looks stolen."""
    return [replace(one, compromised={a: stolen[a] for a in one.account_ids if a in stolen}) for one in campaigns]


def _account(row: Mapping[str, Any]) -> str:
    return str(row["account_id"])


def _placed(templated: IbisTable, members: IbisTable, own: IbisTable) -> IbisTable:
    """The members' exchanges: account_id, started_at, place (address range), and whether they bear the wordings."""
    rows = templated.filter(templated.place.notnull()).inner_join(members, "account_id")
    rows = rows.select("account_id", "started_at", "place", "template_id", "campaign")
    own = own.mutate(bears=ibis.literal(True))
    rows = rows.left_join(own, ["campaign", "template_id"]).select(*rows.columns, "bears")
    return rows.select("account_id", "started_at", "place", bears=rows.bears.fill_null(False))


def _counted(rows: IbisTable) -> IbisTable:
    """One row per account that bears anything: what it did before, at home and elsewhere."""
    spans = rows.group_by("account_id").aggregate(
        began_at=rows.started_at.min(), onset_at=rows.started_at.min(where=rows.bears)
    )
    rows = rows.inner_join(spans.filter(spans.onset_at.notnull()), "account_id")
    before = rows.filter(rows.started_at < rows.onset_at)
    homes = before.group_by(["account_id", "place"]).aggregate(visits=before.count())
    rows = rows.left_join(homes, ["account_id", "place"]).select(*rows.columns, is_home=homes.visits.notnull())
    after = rows.started_at >= rows.onset_at
    return rows.group_by("account_id").aggregate(
        exchanges=rows.count(),
        before=(~after).sum(),
        began_at=rows.began_at.min(),
        onset_at=rows.onset_at.min(),
        borne=rows.bears.sum(),
        borne_at_home=(rows.bears & rows.is_home).sum(),
        beside=(after & rows.is_home).sum(),
        elsewhere=(after & ~rows.is_home).sum(),
    )


def _is_victim(row: Mapping[str, Any]) -> bool:
    return bool(
        row["before"] >= MIN_BEFORE
        and _days_before(row) >= MIN_BEFORE_DAYS
        and row["beside"] >= MIN_BESIDE
        and row["borne_at_home"] <= MAX_BORNE_AT_HOME * row["borne"]
        and row["borne_at_home"] <= MAX_BORNE_OF_HOME * row["beside"]
        and row["elsewhere"] <= MAX_CAMPAIGN_SHARE * row["exchanges"]
    )


def _days_before(row: Mapping[str, Any]) -> float:
    return float((row["onset_at"] - row["began_at"]).total_seconds() / 86_400)


def _because(row: Mapping[str, Any]) -> str:
    return (
        f"{_days_before(row):.0f} days and {row['before']} exchanges of its own came before the campaign's first; "
        f"since then {row['beside']} more came from the same places, while {row['elsewhere']} came from others, where "
        f"{row['borne'] - row['borne_at_home']} of the campaign's {row['borne']} did"
    )
