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
import pyarrow.compute as pc

from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.tables import Tables
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
    columns = {"account_id": [a for a, _ in pairs], "campaign": pa.array([n for _, n in pairs], pa.int64())}
    own = {"campaign": pa.array([n for n, _ in wordings]), "template_id": pa.array([t for _, t in wordings])}
    members, words = pa.table(columns), engine.memory(pa.table(own))
    spans = _spans(_placed(tables.templated, engine.memory(members), words)).to_pyarrow()
    # Most members came with the campaign: what the others did is all that has to be counted.
    left = members.filter(pc.is_in(members["account_id"], spans["account_id"].combine_chunks()))
    rows = _placed(tables.templated, engine.memory(left), words)
    counted = _counted(rows, engine.memory(spans)).to_pyarrow().to_pylist()
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


def _spans(rows: IbisTable) -> IbisTable:
    """When each account began, and began to bear the wordings, of those that were there long before."""
    spans = rows.group_by("account_id").aggregate(
        began_at=rows.started_at.min(), onset_at=rows.started_at.min(where=rows.bears)
    )
    waited_s = spans.onset_at.epoch_seconds() - spans.began_at.epoch_seconds()
    return spans.filter(waited_s >= int(MIN_BEFORE_DAYS * 86_400) - 1)  # whole seconds; `_is_victim` looks closer


def _counted(rows: IbisTable, spans: IbisTable) -> IbisTable:
    """One row per account of the spans: what it did before, at home and elsewhere."""
    rows = rows.inner_join(spans, "account_id")
    is_after = rows.started_at >= rows.onset_at
    places = rows.group_by(["account_id", "place", "began_at", "onset_at"]).aggregate(
        before=(~is_after).sum(), after=is_after.sum(), borne=rows.bears.sum()
    )
    is_home = places.before > 0
    return places.group_by(["account_id", "began_at", "onset_at"]).aggregate(
        exchanges=(places.before + places.after).sum(),
        before=places.before.sum(),
        borne=places.borne.sum(),
        borne_at_home=places.borne.sum(where=is_home).fill_null(0),
        beside=places.after.sum(where=is_home).fill_null(0),
        elsewhere=places.after.sum(where=~is_home).fill_null(0),
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
