"""Wordings that a cluster's members use in ever new texts and hardly anybody else: fingerprints, and pairs of them.

Why:    an operator takes its wordings along to the next accounts, and a partner can recognise it by them.
Misses: what accounts say in few of their texts only: MAX_TEXTS of each are read.
Source: own; fingerprints are those of the sketch signal.

    1. Texts: some of each member's prompts that bear its cluster's templates, chosen by their hashes.
    2. Candidates: pairs that enough members put into enough of these texts.
    3. Sightings: which accounts use a candidate, by one pass over all sketches. Only numbers are kept of them.
    4. Own is what far more members use than others do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.campaigns.sightings import SIGHTINGS_SCHEMA, Ints, Sightings, matrix, recurring, used
from stillwatch.engines.base import Engine, IbisTable

OWN_TIMES = 8.0  # how much commoner among members than outside a wording must be, as for templates of their own
OWN_ACCOUNTS = 3  # members that must use it
MAX_TEXTS = 32  # of an account that are read for wordings
OWN_TEXTS = 3  # different texts of members it must stand in: an item that is asked again is no wording

Floats = NDArray[np.float64]
_OUTSIDE = -1  # in place of a cluster
_SORTED_AT_ONCE = 1 << 26  # sightings: half a gigabyte


@dataclass(frozen=True, slots=True, eq=False)
class Wordings:
    """Pairs as in the module `sightings`: `inside` members use each, `outside` is the share of independent others."""

    first: Ints
    second: Ints
    inside: Ints
    outside: Floats

    @property
    def pairs(self) -> Ints:
        """Both parts of each: (wordings, 2)."""
        return np.stack([self.first, self.second], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Pairs that recur among the texts of a cluster: `pair` (candidates,) numbers into `pairs` (pairs, 2)."""

    cluster: Ints
    pair: Ints
    pairs: Ints


def own_wordings(
    bearing: IbisTable, signals: IbisTable, members: pa.Table, engine: Engine, *, account_count: int, work: Path
) -> dict[int, Wordings]:
    """The wordings of every cluster that has any; `bearing` and `signals` as for `marks`."""
    found = _candidates(_texts(bearing, signals))
    if not len(found.pair):
        return {}
    accounts = _numbered(signals, members)
    shown = signals.inner_join(engine.memory(accounts), "account_id").select("number", "sketch", "system_prompt_id")
    sighted = engine.map_batches(shown, Sightings(found.pairs), SIGHTINGS_SCHEMA, work / "sightings")
    return _own(found, sighted, accounts["cluster_id"].to_numpy(), members, account_count)


def _texts(bearing: IbisTable, signals: IbisTable) -> pa.Table:
    """Some texts of every member, those of the smallest hashes: cluster_id, account_id, item_id, and their signals.

    What a campaign keeps saying is in them, and the cost follows its accounts.
    """
    texts = bearing.group_by(["cluster_id", "account_id", "item_id"]).aggregate(exchange_id=bearing.exchange_id.min())
    order = ibis.window(group_by=["cluster_id", "account_id"], order_by="item_id")
    ranked = texts.mutate(rank=ibis.row_number().over(order))
    chosen = ranked.filter(ranked["rank"] < MAX_TEXTS).drop("rank")
    told = signals.select("exchange_id", "sketch", "system_prompt_id").inner_join(chosen, "exchange_id")
    return told.drop("exchange_id").to_pyarrow()


def _candidates(texts: pa.Table) -> _Candidates:
    """What recurs among the texts of each cluster, clusters in order."""
    cluster = texts["cluster_id"].to_numpy().astype(np.int64)
    accounts = texts["account_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    order = np.lexsort((accounts, cluster))
    items = texts["item_id"].combine_chunks().dictionary_encode().indices
    columns = (
        matrix(texts["sketch"]),
        pc.fill_null(texts["system_prompt_id"], 0).to_numpy().astype(np.int64),
        accounts,
        pc.fill_null(items, -1).to_numpy().astype(np.int64),
    )
    numbers, starts = np.unique(cluster[order], return_index=True)
    found = []
    for rows in np.split(order, starts[1:]):
        found.append(recurring(*(column[rows] for column in columns), least=(OWN_ACCOUNTS, OWN_TEXTS)))
    of = np.repeat(numbers, [len(pairs) for pairs in found[: len(numbers)]])
    pairs = np.concatenate(found)
    first, place = _distinct(pairs)
    return _Candidates(of, place, pairs[first])


def _distinct(pairs: Ints) -> tuple[Ints, Ints]:
    """Where each distinct pair stands first, in their order, and the place of every pair among them."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    is_new = np.ones(len(pairs), np.bool_)
    is_new[1:] = (pairs[order[1:]] != pairs[order[:-1]]).any(axis=1)
    place = np.empty(len(pairs), np.int64)
    place[order] = np.cumsum(is_new) - 1
    return order[is_new], place


def _numbered(signals: IbisTable, members: pa.Table) -> pa.Table:
    """A number for every account, by name, and its cluster or _OUTSIDE: account_id, number, cluster_id."""
    names = signals.select("account_id").distinct().to_pyarrow()["account_id"].combine_chunks().sort()
    places = pc.index_in(names, members["account_id"].combine_chunks())
    clusters = pc.fill_null(members["cluster_id"].combine_chunks().take(places), _OUTSIDE)
    return pa.table({"account_id": names, "number": pa.array(np.arange(len(names))), "cluster_id": clusters})


def _counted(sighted: IbisTable, clusters: Ints, pairs: int) -> tuple[Ints, Ints, Ints]:
    """How many accounts of no cluster use each pair (pairs,), and how many of each cluster: keys, in order, and counts.

    A key is the pair times `_width` plus the cluster. Sorting numbers takes a third of what a hash table of them does;
    some of the accounts at a time, as memory allows.
    """
    parts = int(sighted.count().to_pyarrow().as_py()) // _SORTED_AT_ONCE + 1
    ends = [len(clusters) * part // parts * pairs for part in range(parts + 1)]
    loose, keys = np.zeros(pairs, np.int64), []
    for low, high in pairwise(ends):
        chosen = sighted if parts == 1 else sighted.filter((sighted.sighting >= low) & (sighted.sighting < high))
        said = np.sort(chosen.to_pyarrow()["sighting"].to_numpy())
        keys.append(used(said, clusters, _width(clusters), loose))
    return loose, *np.unique(np.concatenate(keys), return_counts=True)


def _width(clusters: Ints) -> int:
    """One more than the largest cluster."""
    return int(clusters.max(initial=_OUTSIDE)) + 1


def _own(
    found: _Candidates, sighted: IbisTable, clusters: Ints, members: pa.Table, account_count: int
) -> dict[int, Wordings]:
    """The candidates that members use far more than others, every other cluster counted as one account."""
    loose, keys, counts = _counted(sighted, clusters, len(found.pairs))
    width = _width(clusters)
    users = loose + np.bincount(keys // width, minlength=len(found.pairs))
    elsewhere = users[found.pair] - 1
    inside = counts[np.searchsorted(keys, found.pair * width + found.cluster)]
    sizes = _sizes(members)
    own: dict[int, Wordings] = {}
    numbers, starts = np.unique(found.cluster, return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(np.arange(len(found.cluster)), starts[1:]), strict=True):
        outside = np.minimum((elsewhere[rows] + 0.5) / (max(account_count - sizes[number], 0) + 1.0), 1.0)
        commoner = (inside[rows] + 0.5) / (sizes[number] + 1.0) >= OWN_TIMES * outside
        kept = (inside[rows] > elsewhere[rows]) & commoner
        chosen = found.pairs[found.pair[rows[kept]]]
        if len(chosen):
            own[number] = Wordings(chosen[:, 0], chosen[:, 1], inside[rows[kept]], outside[kept])
    return own


def _sizes(members: pa.Table) -> Mapping[int, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(members["cluster_id"]).to_pylist()}
