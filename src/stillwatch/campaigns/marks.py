"""The marks of a campaign that outlast its accounts: wordings, items, tooling, timing, infrastructure.

Why:    accounts are banned and replaced, and template ids change with the vocabulary of a run. What an operator takes
        along to the next accounts are its wordings, its list of items, its software, and some cards and addresses.
Misses: a successor that rewords everything, works on another list and shares nothing else. Without prompts only tooling
        and infrastructure are left.
Source: bottom-k samples: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007. Fingerprints are those
        of the sketch signal.

Marks hold hashes and counts, never text. A sample keeps the smallest hashes, so that two days' samples compare. A
wording is a pair of fingerprints that stand beside each other in a sketch: neighbours there are chosen by hash, from
anywhere in the head or the tail of a prompt. Strangers who share a sentence share fingerprints, but fewer pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.campaigns.shelved import Shelves
from stillwatch.campaigns.sightings import ALONE, Ints
from stillwatch.campaigns.wordings import Wordings, own_wordings
from stillwatch.engines.base import Engine, IbisTable

SAMPLE_SIZE = 256  # wordings, and items, kept: a containment of one half is then known to about 0.03
VALUE_SAMPLE_SIZE = 64  # values kept of each kind of infrastructure
MAX_SHARED = 512  # fingerprints, and items, that a partner may be told of, under the key of a sharing group
RARE_SHARE = 0.005  # of independent others that use a fingerprint, from which on it is no use to a partner
MAX_CLIENTS = 8  # commonest clients kept
INFRASTRUCTURE = ("ip", "ip_prefix", "payment", "device", "email", "phone", "artefact")
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
PEAK_SHARE = 0.1  # of the hours of a campaign: its busiest, by which waves show
HOURS = 24


@dataclass(frozen=True, slots=True)
class Sample:
    """The smallest `hashes` of `count` distinct values, ascending, each 16 hexadecimal digits.

    `outside` says, for hashes of this run, which share of independent others has the value, half an account added; it
    is not kept.
    """

    count: int = 0
    hashes: Sequence[str] = ()
    outside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """What a partner could recognise the campaign by: members that use each fingerprint, and each item.

    Fingerprints are of the sketch signal, items hashes of whole prompts; most used first. Neither is kept from run to
    run.
    """

    wordings: Mapping[int, int] = field(default_factory=dict)
    items: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Marks:
    """What one campaign would take along to other accounts.

    `clients` is the share of each client (user agent and TLS fingerprint together, hashed) among the pairs of member
    and client; `by_hour` the share of exchanges in each hour of the UTC day, `peak_share` the share in the busiest
    tenth of its hours; `infrastructure` maps kinds to the smallest hashes its members hold.
    """

    wordings: Sample = Sample()
    items: Sample = Sample()
    clients: Mapping[str, float] = field(default_factory=dict)
    by_hour: Sequence[float] = ()
    peak_share: float | None = None
    infrastructure: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shared: Shared = Shared()


@dataclass(frozen=True, slots=True)
class Observed:
    """What marks are read from.

    `bearing` exchanges that bear the prompts of their own cluster, and their `senders`, as `senders_by` gives them;
    `signals` and `templated` all exchanges; `traits` hashed, per account; `members` of clusters; `account_count`
    accounts with traffic; `work` a folder for tables in between; `shelves` have all sketches, where they lie here.
    """

    bearing: IbisTable
    signals: IbisTable
    templated: IbisTable
    traits: pa.Table
    members: pa.Table
    account_count: int
    work: Path
    senders: IbisTable
    shelves: Shelves | None = None


def marks(of: Observed, engine: Engine) -> dict[int, Marks]:
    """The marks of every cluster, by its number."""
    sizes = {row["values"]: row["counts"] for row in pc.value_counts(of.members["cluster_id"]).to_pylist()}
    if not sizes:
        return {}
    members = engine.memory(of.members.select(["account_id", "cluster_id"]))
    own = own_wordings(
        of.senders,
        of.signals,
        of.members,
        engine,
        account_count=of.account_count,
        work=of.work,
        shelves=of.shelves,
    )
    items, senders = _items(of, members, sizes)
    hours = _by_cluster(_hours(of.bearing))
    shown = _by_cluster(_shown(of.traits, of.members))
    return {
        cluster: Marks(
            wordings=_paired(own[cluster]) if cluster in own else Sample(),
            items=items.get(cluster, Sample()),
            clients=_clients(shown.get(cluster, ())),
            infrastructure=_infrastructure(shown.get(cluster, ())),
            **_timing(hours.get(cluster, ())),
            shared=Shared(_alone(own[cluster]) if cluster in own else {}, _most_used(senders.get(cluster, {}))),
        )
        for cluster in sizes
    }


def as_json(of: Marks) -> dict[str, Any]:
    """Marks as the campaigns schema has them."""
    return {
        "wordings": {"count": of.wordings.count, "sample": list(of.wordings.hashes)},
        "items": {"count": of.items.count, "sample": list(of.items.hashes)},
        "clients": [{"value": value, "share": share} for value, share in of.clients.items()],
        "timing": {"by_hour": list(of.by_hour), "peak_share": of.peak_share},
        "infrastructure": [{"kind": kind, "sample": list(values)} for kind, values in of.infrastructure.items()],
    }


def shared_json(of: Marks) -> dict[str, Any]:
    """What a partner could be told of, as the campaigns schema has it; unkeyed, so it stays here as it is."""
    told = (("wordings", of.shared.wordings), ("items", of.shared.items))
    return {name: [{"value": str(v), "account_count": n} for v, n in counts.items()] for name, counts in told}


def from_json(told: Mapping[str, Any]) -> Marks:
    """Marks as an earlier run kept them."""
    return Marks(
        wordings=Sample(told["wordings"]["count"], told["wordings"]["sample"]),
        items=Sample(told["items"]["count"], told["items"]["sample"]),
        clients={row["value"]: row["share"] for row in told["clients"]},
        by_hour=told["timing"]["by_hour"],
        peak_share=told["timing"]["peak_share"],
        infrastructure={row["kind"]: row["sample"] for row in told["infrastructure"]},
    )


def _paired(own: Wordings) -> Sample:
    """The pairs and system prompts of a cluster, as a sample."""
    kept = own.second != ALONE
    values = mixed(own.first[kept], own.second[kept])
    order = np.lexsort((own.outside[kept], values))[:SAMPLE_SIZE]
    return _sample(list(zip(values[order].tolist(), own.outside[kept][order].tolist(), strict=True)), len(values))


def _alone(own: Wordings) -> dict[int, int]:
    """Members by fingerprint, of those that are rare elsewhere."""
    kept = (own.second == ALONE) & (own.outside < RARE_SHARE)
    return _most_used(dict(zip(own.first[kept].tolist(), own.inside[kept].tolist(), strict=True)))


def _most_used(counts: Mapping[int, int]) -> dict[int, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_SHARED])


def mixed(first: Ints, second: Ints) -> Ints:
    """One signed 64-bit number for each pair; a system prompt keeps its own."""
    one, other = first.astype(np.uint64), second.astype(np.uint64)
    return np.where(second == 0, first, ((one * _ODD + other) * _ODD).astype(np.int64))


def hash_name(value: int) -> str:
    """A 64-bit hash as 16 digits whose order is that of the numbers."""
    return f"{value + (1 << 63):016x}"


def _counted(holders: IbisTable, value: Sequence[str], members: IbisTable) -> IbisTable:
    """Per cluster and value: members that hold it (`inside`), and others, every other cluster as one (`elsewhere`)."""
    placed = holders.left_join(members, "account_id").select("account_id", *value, "cluster_id")
    within = placed.filter(placed.cluster_id.notnull()).group_by([*value, "cluster_id"])
    totals = placed.group_by(value).aggregate(
        loose=placed.cluster_id.isnull().sum(), clusters=placed.cluster_id.nunique()
    )
    joined = within.aggregate(inside=ibis._.count()).join(totals, value)
    return joined.select("cluster_id", *value, "inside", elsewhere=joined.loose + joined.clusters - 1)


def _items(
    of: Observed, members: IbisTable, sizes: Mapping[int, int]
) -> tuple[dict[int, Sample], dict[int, dict[int, int]]]:
    """The prompts of each cluster that bear its wordings, as a sample of whole-text hashes; members that sent each."""
    items = of.senders.filter(of.senders.item_id.notnull()).select("cluster_id", "item_id").distinct()
    totals = items.group_by("cluster_id").aggregate(n=items.count()).to_pyarrow().to_pylist()
    order = ibis.window(group_by="cluster_id", order_by="item_id")
    ranked = items.mutate(rank=ibis.row_number().over(order))
    chosen = ranked.filter(ranked["rank"] < SAMPLE_SIZE).select("cluster_id", "item_id")
    senders = of.templated.select("account_id", "item_id").semi_join(chosen, "item_id").distinct()
    counted = _counted(senders, ["item_id"], members)
    rows = chosen.join(counted, ["cluster_id", "item_id"]).to_pyarrow().to_pylist()
    sampled: dict[int, list[tuple[int, float]]] = {}
    inside: dict[int, dict[int, int]] = {}
    for row in rows:
        outside = _share(row["elsewhere"], of.account_count - sizes[row["cluster_id"]])
        sampled.setdefault(row["cluster_id"], []).append((row["item_id"], outside))
        inside.setdefault(row["cluster_id"], {})[row["item_id"]] = int(row["inside"])
    samples = {row["cluster_id"]: _sample(sampled.get(row["cluster_id"], []), int(row["n"])) for row in totals}
    return samples, inside


def _share(holders: int, accounts: int) -> float:
    """Share of the accounts that hold it, half an account added."""
    return min((holders + 0.5) / (max(accounts, 0) + 1.0), 1.0)


def _sample(values: Sequence[tuple[int, float]], count: int) -> Sample:
    chosen = sorted(values)[:SAMPLE_SIZE]
    named = {hash_name(value): outside for value, outside in chosen}
    return Sample(count, tuple(named), named)


def _hours(bearing: IbisTable) -> list[dict[str, Any]]:
    """Exchanges of each cluster in each hour since 1970: cluster_id, hour, n."""
    rows = bearing.mutate(hour=(bearing.started_at.epoch_seconds() // 3600).cast("int64"))
    counted = rows.group_by(["cluster_id", "hour"]).aggregate(n=rows.count())
    return list(counted.order_by(["cluster_id", "hour"]).to_pyarrow().to_pylist())


def _timing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Share by hour of the UTC day, and share in the busiest tenth of the hours between the first and the last."""
    total = sum(row["n"] for row in rows)
    if not total:
        return {"by_hour": (), "peak_share": None}
    by_hour = [0] * HOURS
    for row in rows:
        by_hour[row["hour"] % HOURS] += row["n"]
    busiest = sorted((row["n"] for row in rows), reverse=True)
    lasted = rows[-1]["hour"] - rows[0]["hour"] + 1
    peak = sum(busiest[: max(round(lasted * PEAK_SHARE), 1)])
    return {"by_hour": tuple(round(n / total, 6) for n in by_hour), "peak_share": round(peak / total, 6)}


def _shown(traits: pa.Table, members: pa.Table) -> list[dict[str, Any]]:
    """What members show of clients and infrastructure: cluster_id, kind, value, and how many members, in order."""
    kinds = pa.array(["client", *INFRASTRUCTURE])
    rows = traits.filter(pc.is_in(traits["kind"], kinds)).select(["account_id", "kind", "value"])
    rows = rows.join(members.select(["account_id", "cluster_id"]), "account_id", join_type="inner")
    counted = rows.group_by(["cluster_id", "kind", "value"]).aggregate([("account_id", "count_distinct")])
    order = [(name, "ascending") for name in ("cluster_id", "kind", "value")]
    return list(counted.sort_by(order).to_pylist())


def _clients(shown: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The commonest clients with their shares, commonest first."""
    counts = {row["value"]: row["account_id_count_distinct"] for row in shown if row["kind"] == "client"}
    total = sum(counts.values())
    first = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_CLIENTS]
    return {value: round(count / total, 6) for value, count in first}


def _infrastructure(shown: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The smallest hashes of each kind."""
    values: dict[str, list[str]] = {}
    for row in shown:
        if row["kind"] in INFRASTRUCTURE:
            values.setdefault(row["kind"], []).append(row["value"])
    return {kind: tuple(sorted(found)[:VALUE_SAMPLE_SIZE]) for kind, found in sorted(values.items())}


def _by_cluster(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["cluster_id"], []).append(row)
    return found
