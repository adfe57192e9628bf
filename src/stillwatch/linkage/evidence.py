"""What holds each cluster together, as tables: links, members, evidence by trait, cohesion by group of traits."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
import pyarrow as pa

from stillwatch.linkage.clusters import Clusters
from stillwatch.linkage.crossing import JOINING
from stillwatch.linkage.holdings import GROUPS, PARTNER, Holdings, Ints
from stillwatch.linkage.households import Households, holders_of
from stillwatch.linkage.labels import holding_counts, members_of
from stillwatch.linkage.lockstep import IN_STEP_P_VALUE, REACH_MIN, Starts, in_step_p_value, is_in_step, together
from stillwatch.linkage.tails import hypergeometric
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MIN_GROUPS, WORDINGS
from stillwatch.records import CLUSTERS, KINDS, LINKS, arrow_schema

MIN_INSIDE = 2  # members that must hold a trait before it holds anything together
TIMING_KIND = "session_starts"
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
    kinds = [of.kinds[v] for v in held]
    columns = {
        "account_id": pa.array([of.account_ids[a] for a in of.accounts[kept]], pa.string()),
        "kind": pa.array(kinds, pa.string()),
        "family": pa.array([KINDS[kind][0] for kind in kinds], pa.string()),
        "value": pa.array([of.values[v] for v in held], pa.string()),
        "account_count": pa.array(of.holder_counts[held]),
        "weight_bits": pa.array(weighed.bits[held]),
        "durability": pa.array([KINDS[kind][2] for kind in kinds], pa.string()),
    }
    return pa.table(columns, schema=arrow_schema(LINKS))


def evidence(of: Holdings, weighed: Weights, found: Clusters, in_step: Sequence["Step"]) -> pa.Table:
    """One row per cluster and trait that at least MIN_INSIDE members hold, and that weighs anything or is a wording.

    A wording need not weigh anything to be what a cluster sends: the other groups hold its accounts together.
    `outside_count` is how many strangers hold it: accounts in no cluster, and every other cluster as one. Clusters
    in step have a row for that as well.
    """
    counts = holding_counts(of, found.of_account, found.count).tocoo()
    wording = np.isin(np.array(of.kinds, dtype=object), WORDINGS)[counts.col]
    telling = (weighed.bits[counts.col] > 0) & (weighed.control[counts.col] > 0.01)
    keep = (counts.data >= MIN_INSIDE) & (telling | wording)
    cluster, value = counts.row[keep].astype(np.int64), counts.col[keep]
    inside = counts.data[keep].astype(np.int64)
    familiar = holding_counts(of, found.familiar, found.count).tocsc()
    clusters_holding = np.diff(familiar.indptr)[value]
    clustered = np.asarray(familiar.sum(axis=0)).ravel()[value].astype(np.int64)
    strangers = of.holder_counts[value] - clustered + clusters_holding - 1
    kinds = [of.kinds[v] for v in value]
    columns = {
        "cluster_id": pa.array(cluster),
        "kind": pa.array(kinds, pa.string()),
        "family": pa.array([KINDS[kind][0] for kind in kinds], pa.string()),
        "group": pa.array([KINDS[kind][1] for kind in kinds], pa.string()),
        "value": pa.array([of.values[v] for v in value], pa.string()),
        "account_count": pa.array(inside),
        "outside_count": pa.array(strangers),
        "weight_bits": pa.array(weighed.bits[value]),
        "durability": pa.array([KINDS[kind][2] for kind in kinds], pa.string()),
    }
    timed = [_timing_evidence(step) for step in in_step]
    return pa.concat_tables([pa.table(columns, schema=EVIDENCE_SCHEMA), pa.Table.from_pylist(timed, EVIDENCE_SCHEMA)])


@dataclass(frozen=True, slots=True)
class Step:
    """A cluster in step: its accounts, those in step with the rest, and how often beyond chance their starts meet."""

    cluster: int
    members: int
    in_step: int
    lift: float


def steps(found: Clusters, starts: Starts) -> list[Step]:
    """The clusters whose accounts start sessions together."""
    found_in_step = []
    for cluster, members in enumerate(members_of(found.of_account)):
        tested = together(starts, members, members)
        own = tested.p_values <= IN_STEP_P_VALUE
        if is_in_step(tested.p_values):
            lift = float(tested.seen[own].sum() / max(tested.expected[own].sum(), 1.0))
            found_in_step.append(Step(cluster, len(members), int(own.sum()), lift))
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
    hypergeometric tail, times the number of values of the group tried. `linked` counts members that hold such a
    value; `expected` how many holders of those values chance would put in the cluster. What only a household shares
    counts where more of the cluster's households share something than of all households. Timing ties members that start
    sessions with the others; crossing stands for what joins the cells of a cluster
    that it found, and these groups do not speak once more.
    """
    held_by = holding_counts(of, found.of_account, found.count).tocsr()
    totals, linked_by, households = of.holder_counts, _edges_by_cluster(of, found), Households(of)
    rows: list[dict[str, object]] = []
    for cluster, (accounts, held) in enumerate(linked_by):
        stands = int((found.of_account == cluster).sum())
        values, within = held_by[[cluster]].indices, held_by[[cluster]].data
        p_values = hypergeometric(within.astype(np.int64), of.account_count, totals[values], stands)
        for group, name in enumerate(GROUPS):
            if group == PARTNER or (group in JOINING and cluster in found.crossed):
                continue
            tried = (of.group[values] == group) & (within >= MIN_INSIDE)
            corrected = np.minimum(p_values * max(int(tried.sum()), 1), 1.0)
            telling = tried & (corrected <= TELLING_P_VALUE)
            theirs = telling & households.is_theirs[values]
            chance = households.p_value(group, holders_of(accounts, held, values[theirs]), stands)
            if chance > TELLING_P_VALUE:
                telling &= ~theirs
            if telling.any():
                corrected[theirs] = chance
                linked = holders_of(accounts, held, values[telling])
                expected = min(float(totals[values[telling]].sum()) * stands / of.account_count, float(stands))
                rows.append(_row(cluster, name, linked, expected, stands, float(corrected[telling].min())))
    for step in in_step:
        expected, p_value = IN_STEP_P_VALUE * step.members, in_step_p_value(step.in_step, step.members)
        rows.append(_row(step.cluster, KINDS[TIMING_KIND][1], step.in_step, expected, step.members, p_value))
    for cluster, one in found.crossed.items():
        linked, stands = len(one.linked), len(one.members)
        rows.append(_row(cluster, CROSSING, linked, min(one.expected, float(stands)), stands, one.p_value))
    return pa.Table.from_pylist(rows, schema=COHESION_SCHEMA)


def stand_by_themselves(cohering: pa.Table) -> list[int]:
    """The clusters that at least MIN_GROUPS groups tie, given the rows of `cohesion`."""
    by_cluster: dict[int, list[float]] = {}
    for row in cohering.select(["cluster_id", "p_value"]).to_pylist():
        by_cluster.setdefault(row["cluster_id"], []).append(row["p_value"])
    tied = {cluster: sum(p * len(rows) <= TELLING_P_VALUE for p in rows) for cluster, rows in by_cluster.items()}
    return [cluster for cluster, groups in tied.items() if groups >= MIN_GROUPS]


def _edges_by_cluster(of: Holdings, found: Clusters) -> list[tuple[Ints, Ints]]:
    """Account and value of the edges of each cluster's members."""
    home = found.of_account[of.accounts]
    order = np.flatnonzero(home >= 0)
    order = order[np.argsort(home[order], kind="stable")]
    ends = np.cumsum(np.bincount(home[order], minlength=found.count))[:-1]
    return [(of.accounts[part], of.held[part]) for part in np.split(order, ends)] if found.count else []


def _row(cluster: int, group: str, linked: int, expected: float, principals: int, p_value: float) -> dict[str, object]:
    return {
        "cluster_id": cluster,
        "group": group,
        "linked": linked,
        "expected": round(expected, 6),
        "principals": principals,
        "p_value": p_value,
    }
