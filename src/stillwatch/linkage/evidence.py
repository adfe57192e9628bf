"""What holds each cluster together, as tables: links, members, evidence by trait, cohesion by group of traits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csgraph

from stillwatch.linkage.cells import linked as linked_nodes
from stillwatch.linkage.clusters import Clusters
from stillwatch.linkage.growing import JOINING
from stillwatch.linkage.holdings import CONTENT, GROUPS, HANGING, KIND_NAMES, PARTNER, Floats, Holdings, Ints
from stillwatch.linkage.households import Households, holders_of
from stillwatch.linkage.labels import any_of, holding_counts, members_of
from stillwatch.linkage.lockstep import IN_STEP_P_VALUE, REACH_MIN, Starts, each_together, in_step_p_value, is_in_step
from stillwatch.linkage.tails import hypergeometric
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MIN_ACCOUNTS, MIN_GROUPS, WORDINGS, speaks
from stillwatch.records import CLUSTERS, KINDS, LINKS, arrow_schema

MIN_INSIDE = 2  # members that must hold a trait before it holds anything together
TIMING_KIND = "session_starts"
APART_FROM_CHAINS = ("network", "registration", KINDS[TIMING_KIND][1])  # groups that make no cells, but for wordings
CROSSING = "crossing"  # cards, devices, telephones and addresses together, where they join a cluster's cells
TELLING_P_VALUE = 1e-3  # of one value, corrected for the values of its group tried in the cluster

EVIDENCE_SCHEMA = pa.schema(
    [
        ("cluster_id", pa.int64()),
        ("kind", pa.string()),
        ("family", pa.string()),
        ("group", pa.string()),
        ("value", pa.string()),
        ("account_count", pa.int64()),
        ("outside_count", pa.int64()),
        ("weight_bits", pa.float64()),
        ("durability", pa.string()),
    ]
)
COHESION_SCHEMA = pa.schema(
    [
        ("cluster_id", pa.int64()),
        ("group", pa.string()),
        ("linked", pa.int64()),
        ("expected", pa.float64()),
        ("principals", pa.int64()),
        ("p_value", pa.float64()),
        ("together", pa.int64()),
    ]
)


def members(of: Holdings, found: Clusters) -> pa.Table:
    """One row per account in a cluster; columns as in `records.CLUSTERS`."""
    inside = np.flatnonzero(found.of_account >= 0)
    columns = {
        "account_id": pa.array([of.account_ids[i] for i in inside], pa.string()),
        "cluster_id": pa.array(found.of_account[inside]),
        "membership_bits": pa.array(found.bits[inside]),
        "families": pa.array(found.groups[inside].astype(np.int32)),
    }
    return pa.table(columns, schema=arrow_schema(CLUSTERS))


def links(of: Holdings, weighed: Weights) -> pa.Table:
    """One row per account and validated trait; columns as in `records.LINKS`."""
    kept = np.flatnonzero(weighed.valid[of.held])
    held = of.held[kept]
    columns = {
        "account_id": pa.array(of.account_ids, pa.string()).take(pa.array(of.accounts[kept])),
        **_named(of, held),
        "account_count": pa.array(of.holder_counts[held]),
        "weight_bits": pa.array(weighed.bits[held]),
    }
    return pa.table(columns).select(arrow_schema(LINKS).names).cast(arrow_schema(LINKS))


def _named(of: Holdings, held: Ints) -> dict[str, pa.Array]:
    """What there is to say of some values: kind, family, group, value and durability."""
    kind, about = of.kind[held], [KINDS[name] for name in KIND_NAMES]
    told = {"kind": KIND_NAMES, "family": [one[0] for one in about], "group": [one[1] for one in about]}
    told["durability"] = [one[2] for one in about]
    named = {name: pa.array(texts, pa.string()).take(pa.array(kind)) for name, texts in told.items()}
    return {**named, "value": pa.array([of.values[value] for value in held.tolist()], pa.string())}


def evidence(of: Holdings, weighed: Weights, found: Clusters, in_step: Sequence["Step"]) -> pa.Table:
    """One row per cluster and trait that at least MIN_INSIDE members hold, and that weighs anything or is a wording.

    A wording need not weigh anything to be what a cluster sends: the other groups hold its accounts together.
    `outside_count` is how many strangers hold it: accounts in no cluster, and every other cluster as one. Clusters
    in step have a row for that as well.
    """
    counts = holding_counts(of, found.of_account, found.count).tocoo()
    wording = of.is_of(WORDINGS)[counts.col]
    telling = (weighed.bits[counts.col] > 0) & (weighed.control[counts.col] > 0.01)
    keep = (counts.data >= MIN_INSIDE) & (telling | wording)
    cluster, value = counts.row[keep].astype(np.int64), counts.col[keep].astype(np.int64)
    inside = counts.data[keep].astype(np.int64)
    familiar = holding_counts(of, found.familiar, found.count).tocsc()
    clusters_holding = np.diff(familiar.indptr)[value]
    clustered = np.asarray(familiar.sum(axis=0)).ravel()[value].astype(np.int64)
    strangers = of.holder_counts[value] - clustered + clusters_holding - 1
    columns = {
        "cluster_id": pa.array(cluster),
        **_named(of, value),
        "account_count": pa.array(inside),
        "outside_count": pa.array(strangers),
        "weight_bits": pa.array(weighed.bits[value]),
    }
    table = pa.table(columns).select(EVIDENCE_SCHEMA.names).cast(EVIDENCE_SCHEMA)
    timed = [_timing_evidence(step) for step in in_step]
    return pa.concat_tables([table, pa.Table.from_pylist(timed, EVIDENCE_SCHEMA)])


@dataclass(frozen=True, slots=True)
class Step:
    """A cluster in step: its accounts, those in step with the rest, and how often beyond chance their starts meet."""

    cluster: int
    members: int
    in_step: int
    lift: float


def steps(found: Clusters, starts: Starts) -> list[Step]:
    """The clusters whose accounts start sessions together."""
    members = members_of(found.of_account)
    tested = each_together(starts, members, members)
    p_values, ends = tested.p_values, np.cumsum([len(own) for own in members])
    found_in_step = []
    for cluster, (own, end) in enumerate(zip(members, ends, strict=True)):
        theirs = slice(end - len(own), end)
        if is_in_step(p_values[theirs]):
            step = p_values[theirs] <= IN_STEP_P_VALUE
            seen, expected = tested.seen[theirs][step].sum(), tested.expected[theirs][step].sum()
            found_in_step.append(Step(cluster, len(own), int(step.sum()), float(seen / max(expected, 1.0))))
    return found_in_step


def _timing_evidence(step: Step) -> dict[str, object]:
    family, group, durability = KINDS[TIMING_KIND]
    return {
        "cluster_id": step.cluster,
        "kind": TIMING_KIND,
        "family": family,
        "group": group,
        "value": f"within-{REACH_MIN}-minutes",
        "account_count": step.in_step,
        "outside_count": 0,
        "weight_bits": round(max(log2(step.lift), 0.0), 6),
        "durability": durability,
    }


def cohesion(of: Holdings, found: Clusters, in_step: Sequence["Step"]) -> pa.Table:
    """How each independent group ties each cluster together.

    A value ties a cluster when more of its members hold it than a random set of as many accounts would: the
    hypergeometric tail, times the number of values of the group tried that could tell at all. `linked` counts members
    that hold such a value; `expected` how many of all their holders chance would put in the cluster. What only a
    household shares counts where more of the cluster's households share something than of all households, and of those
    that hold one of its wordings. Timing ties members that start sessions with the others; crossing stands for what
    joins the cells of a cluster that it found, and these groups do not speak once more. `together` is for content
    alone: the members of the largest part that hangs together by wordings, or reasoning handed on, of which at least
    half of the holders are members.
    """
    held_by = holding_counts(of, found.of_account, found.count).tocsr()
    totals, linked_by, households = of.holder_counts, _edges_by_cluster(of, found), Households(of)
    sizes = np.bincount(found.of_account[found.of_account >= 0], minlength=found.count).tolist()
    rows: list[dict[str, object]] = []
    for cluster, (accounts, held) in enumerate(linked_by):
        stands, own = sizes[cluster], slice(held_by.indptr[cluster], held_by.indptr[cluster + 1])
        values, within = held_by.indices[own], held_by.data[own]
        p_values = hypergeometric(within.astype(np.int64), of.account_count, totals[values], stands)
        least = hypergeometric(np.minimum(totals[values], stands), of.account_count, totals[values], stands)
        shared = within >= MIN_INSIDE
        said = values[(of.group[values] == CONTENT) & shared]
        sole = values[shared & (2 * within >= totals[values]) & np.isin(of.group[values], HANGING)]
        for group, name in enumerate(GROUPS):
            if group == PARTNER or (group in JOINING and cluster in found.crossed):
                continue
            tried = (of.group[values] == group) & shared
            corrected = np.minimum(p_values * _telling_at_most(least[tried]), 1.0)
            telling = tried & (corrected <= TELLING_P_VALUE)
            theirs = telling & households.is_theirs[values]
            chance = households.p_value(group, holders_of(accounts, held, values[theirs]), stands)
            if len(said) and chance <= TELLING_P_VALUE:
                sharing = np.isin(accounts, accounts[np.isin(held, values[theirs])])
                chance = max(chance, households.p_value_among_sayers(group, held[sharing], said))
            if chance > TELLING_P_VALUE:
                telling &= ~theirs
            if telling.any():
                corrected[theirs] = chance
                linked = holders_of(accounts, held, values[telling])
                holders = int(any_of(of, of.holders_of(values[telling])[0]).sum())
                expected = holders * stands / of.account_count
                together = _largest_part(accounts, held, sole.astype(np.int64)) if group == CONTENT else None
                rows.append(_row(cluster, name, linked, expected, stands, float(corrected[telling].min()), together))
    for step in in_step:
        expected, p_value = IN_STEP_P_VALUE * step.members, in_step_p_value(step.in_step, step.members)
        rows.append(_row(step.cluster, KINDS[TIMING_KIND][1], step.in_step, expected, step.members, p_value))
    for cluster, one in found.crossed.items():
        linked, stands = len(one.linked), len(one.members)
        rows.append(_row(cluster, CROSSING, linked, min(one.expected, float(stands)), stands, one.p_value))
    return pa.Table.from_pylist(rows, schema=COHESION_SCHEMA)


def _telling_at_most(least: Floats) -> int:
    """How many values could tell at all, given the least p-value that each can have; no others are corrected for.

    Source: Tarone, Biometrics 46 (1990) 515-522.
    """
    counts = np.arange(1, max(len(least), 1) + 1)
    could = np.searchsorted(np.sort(least), TELLING_P_VALUE / counts, side="right")
    return int(counts[could <= counts][0])


def stand_by_themselves(cohering: pa.Table, share: float = 0.0) -> list[int]:
    """The clusters that at least MIN_GROUPS groups tie, each so large a share of them, given the rows of `cohesion`."""
    by_cluster: dict[int, list[Mapping[str, Any]]] = {}
    for row in cohering.to_pylist():
        by_cluster.setdefault(row["cluster_id"], []).append(row)
    tied = {cluster: sum(_tells(row, len(rows), share) for row in rows) for cluster, rows in by_cluster.items()}
    return [cluster for cluster, groups in tied.items() if groups >= MIN_GROUPS]


def _tells(row: Mapping[str, Any], tried: int, share: float) -> bool:
    """Whether a group ties more of a cluster than chance would, by so large a share of it."""
    chance = 0.0 if row["group"] == GROUPS[CONTENT] else row["expected"]
    return speaks(row["p_value"], tried, more=row["linked"] - chance, members=row["principals"], share=share)


def by_chains_alone(of: Holdings, found: Clusters, cohering: pa.Table) -> list[int]:
    """The clusters that chains brought together and nothing that chains are not made of ties, given their cohesion.

    Of a cluster that is made of cards and devices, cards and devices prove little: it has to share addresses, a manner
    of signing up, or minutes at which it begins, too.
    """
    if found.chained is None:
        return []
    chained = found.chained[of.held] & (found.of_account[of.accounts] >= 0)
    holding = np.unique(of.accounts[chained])
    resting = np.flatnonzero(np.bincount(found.of_account[holding], minlength=found.count) >= MIN_ACCOUNTS)
    others = [row for row in cohering.to_pylist() if row["group"] in APART_FROM_CHAINS]
    tied = {row["cluster_id"] for row in others if row["p_value"] * len(APART_FROM_CHAINS) <= TELLING_P_VALUE}
    return [cluster for cluster in resting.tolist() if cluster not in tied]


def _edges_by_cluster(of: Holdings, found: Clusters) -> list[tuple[Ints, Ints]]:
    """Account and value of the edges of each cluster's members."""
    home = found.of_account[of.accounts]
    order = np.flatnonzero(home >= 0)
    order = order[np.argsort(home[order], kind="stable")]
    ends = np.cumsum(np.bincount(home[order], minlength=found.count))[:-1]
    return [(of.accounts[part], of.held[part]) for part in np.split(order, ends)] if found.count else []


def _largest_part(accounts: Ints, held: Ints, values: Ints) -> int:
    """Accounts of the largest part that hangs together by some values; of a cluster's edges both ends are given."""
    joining = np.isin(held, values)
    people, who = np.unique(accounts[joining], return_inverse=True)
    what = np.searchsorted(values, held[joining]) + len(people)
    graph = linked_nodes(who, what, np.ones(len(who)), len(people) + len(values))
    parts = csgraph.connected_components(graph, directed=False)[1][: len(people)]
    return int(np.bincount(parts).max(initial=0))


def _row(
    cluster: int,
    group: str,
    linked: int,
    expected: float,
    principals: int,
    p_value: float,
    together: int | None = None,
) -> dict[str, object]:
    return {
        "cluster_id": cluster,
        "group": group,
        "linked": linked,
        "expected": round(expected, 6),
        "principals": principals,
        "p_value": p_value,
        "together": together,
    }
