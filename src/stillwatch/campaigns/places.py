"""Where the members of a cluster call from: ranges of addresses that several of them share, and whether these sleep.

Why:    who works for one firm shares its address with colleagues, day after day, and the firm has nights. The exits of
        a harvest are many and are changed, and its accounts go on while others sleep.
Misses: colleagues who work from home; a harvest that calls from one range of addresses and keeps office hours.
Source: own. Round-the-clock use and shared accounts on many addresses are in AA26-251A (8 September 2026).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.campaigns.facts import Evidence, Facts, Places
from stillwatch.engines.base import Engine, IbisTable

PLACE_KIND = "ip_prefix"
MIN_PEOPLE = 5  # members that share a range; fewer are a household
SETTLED_SHARE = 1 / 3  # of the members, for the cluster to have places of work; the others work from home
NIGHT_HOURS = 8  # running hours of the day, those in which a place is quietest
DAY_HOURS = 24
HOUR_S = 3600

Floats = NDArray[np.float64]


def placed(traits: pa.Table, members: pa.Array, evidence: pa.Table) -> pa.Table:
    """The rows of the members that tell their place, as `with_places` reads them; columns as in `traits`."""
    kept = pc.and_(pc.equal(evidence["kind"], PLACE_KIND), pc.greater_equal(evidence["account_count"], MIN_PEOPLE))
    ranges = evidence["value"].filter(kept).combine_chunks()
    of_members = traits.filter(pc.is_in(traits["account_id"], members))
    told = pc.and_(pc.is_in(of_members["kind"], pa.array([PLACE_KIND])), pc.is_in(of_members["value"], ranges))
    return of_members.filter(told).select(["account_id", "value"])


def with_places(found: Sequence[Facts], rows: pa.Table, activity: IbisTable, engine: Engine) -> list[Facts]:
    """The clusters with their places; `rows` as `placed` gives them. Hours are read where most are settled only."""
    held: dict[str, list[str]] = {}
    for account_id, value in zip(rows["account_id"].to_pylist(), rows["value"].to_pylist(), strict=True):
        held.setdefault(account_id, []).append(value)
    seats = [_seats(one, held) for one in found]
    worth = {
        account_id
        for one, own in zip(found, seats, strict=True)
        if len(own) >= SETTLED_SHARE * len(one.members)
        for account_id in one.account_ids
    }
    hours = _hours(sorted(worth), activity, engine)
    return [
        replace(one, places=Places(len(own), _night_share(one.account_ids, own, hours)))
        for one, own in zip(found, seats, strict=True)
    ]


def _seats(one: Facts, held: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The place of each member that calls from one place; who moves between several has none."""
    ranges = {item.value for item in one.evidence if _is_place(item)}
    own = {account_id: ranges.intersection(held.get(account_id, ())) for account_id in one.account_ids}
    return {account_id: next(iter(values)) for account_id, values in own.items() if len(values) == 1}


def _is_place(item: Evidence) -> bool:
    return item.kind == PLACE_KIND and item.weight_bits > 0 and item.account_count >= MIN_PEOPLE


def _hours(account_ids: Sequence[str], activity: IbisTable, engine: Engine) -> dict[str, Floats]:
    """When each account was at work: its days, each spread evenly over those hours of the UTC day in which it was.

    A night worked through before a deadline is one day, however much was sent.
    """
    if not account_ids:
        return {}
    members = engine.memory(pa.table({"account_id": pa.array(account_ids, pa.string())}))
    rows = activity.inner_join(members, "account_id")
    rows = rows.select("account_id", hour=(rows.hour_at.epoch_seconds() // HOUR_S).cast("int64")).distinct()
    worked = rows.order_by(["account_id", "hour"]).to_pyarrow()
    found: dict[str, Floats] = {}
    hours = worked["hour"].to_numpy()
    names, starts = np.unique(np.array(worked["account_id"].to_pylist(), object), return_index=True)
    for name, start, end in zip(names.tolist(), starts, [*starts[1:], len(hours)], strict=True):
        _, day, counts = np.unique(hours[start:end] // DAY_HOURS, return_inverse=True, return_counts=True)
        np.add.at(found.setdefault(name, np.zeros(DAY_HOURS)), hours[start:end] % DAY_HOURS, 1.0 / counts[day])
    return found


def _night_share(account_ids: Sequence[str], seats: Mapping[str, str], hours: Mapping[str, Floats]) -> float | None:
    """Share of the time at work in the quietest hours of the place; those of no place are taken together as one."""
    pools: dict[str | None, Floats] = {}
    for account_id in account_ids:
        if account_id in hours:
            place = seats.get(account_id)
            pools[place] = pools.get(place, np.zeros(DAY_HOURS)) + hours[account_id]
    total = sum(float(pool.sum()) for pool in pools.values())
    return round(sum(_quietest(pool) for pool in pools.values()) / total, 6) if total else None


def _quietest(pool: Floats) -> float:
    """Time in the NIGHT_HOURS running hours, over midnight too, that have the least."""
    return float(np.lib.stride_tricks.sliding_window_view(np.tile(pool, 2), NIGHT_HOURS).sum(axis=1).min())
