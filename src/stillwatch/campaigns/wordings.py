"""Wordings that a cluster's members use in ever new texts and hardly anybody else: fingerprints, and pairs of them.

Why:    an operator takes its wordings along to the next accounts, and a partner can recognise it by them.
Misses: what accounts say in few of their texts only: MAX_TEXTS of each are read.
Source: own; fingerprints are those of the sketch signal.

    1. Texts: some of each member's prompts that bear its cluster's templates, chosen by their hashes.
    2. Candidates: pairs that enough members put into enough of these texts.
    3. Sightings: which members use a candidate, and then how many of everybody else do, by a pass over the sketches of
       each. Only numbers are kept of them, and nobody is looked for any more once others are as many as members.
    4. Own is what far more members use than others do.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.campaigns.shelved import OnShelves, Shelves
from stillwatch.campaigns.sightings import SIGHTINGS_SCHEMA, Ints, Sightings, Tally, count, matrix, recurring, tally
from stillwatch.engines.base import Engine, IbisTable

OWN_TIMES = 8.0  # how much commoner among members than outside a wording must be, as for templates of their own
OWN_ACCOUNTS = 3  # members that must use it
MAX_TEXTS = 32  # of an account that are read for wordings
OWN_TEXTS = 3  # different texts of members it must stand in: an item that is asked again is no wording

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
_OUTSIDE = -1  # in place of a cluster
_SORTED_AT_ONCE = 1 << 25  # sightings: a quarter of a gigabyte, four times at most


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

    def only(self, kept: Bools) -> "_Candidates":
        """Some of the candidates, and the pairs of those alone."""
        left, pair = np.unique(self.pair[kept], return_inverse=True)
        return _Candidates(self.cluster[kept], pair, self.pairs[left])


@dataclass(frozen=True, slots=True)
class _Sketches:
    """Every sketch, in `signals` or on `shelves`, and who sent it: `accounts` as `_numbered` gives them."""

    signals: IbisTable
    shelves: Shelves | None
    accounts: pa.Table
    engine: Engine
    work: Path

    def sighted(self, pairs: Ints, most: Ints | None, name: str, *, of_members: bool) -> IbisTable:
        """Which of the pairs members use, or everybody else, as `Sightings`."""
        is_inside = pc.not_equal(self.accounts["cluster_id"], _OUTSIDE)
        those = self.accounts.filter(is_inside if of_members else pc.invert(is_inside)).select(["account_id", "number"])
        if self.shelves is not None:
            places = pc.index_in(pa.array(list(self.shelves.names), pa.string()), those["account_id"].combine_chunks())
            numbers = pc.fill_null(those["number"].combine_chunks().take(places), -1).to_numpy()
            shelves = (pa.record_batch({"shelf": [shelf]}) for shelf in range(self.shelves.count))
            on_shelves = OnShelves(self.shelves, numbers, pairs, most)
            return self.engine.map_batches(shelves, on_shelves, SIGHTINGS_SCHEMA, self.work / name)
        shown = self.signals.inner_join(self.engine.memory(those), "account_id")
        rows = shown.select("number", "sketch", "system_prompt_id")
        return self.engine.map_batches(rows, Sightings(pairs, most), SIGHTINGS_SCHEMA, self.work / name)


def own_wordings(
    senders: IbisTable,
    signals: IbisTable,
    members: pa.Table,
    engine: Engine,
    *,
    account_count: int,
    work: Path,
    shelves: Shelves | None = None,
) -> dict[int, Wordings]:
    """The wordings of every cluster that has any; `senders`, `signals` and `shelves` as for `marks`."""
    found = _candidates(_texts(senders, signals, engine), max(engine.threads_here, 1))
    if not len(found.pair):
        return {}
    of = _Sketches(signals, shelves, _numbered(signals, members), engine, work)
    sizes = np.bincount(members["cluster_id"].to_numpy())
    inside, elsewhere = _among_members(found, of)
    possible, _ = _are_own(inside, elsewhere, sizes[found.cluster], account_count)
    found, inside, elsewhere = found.only(possible), inside[possible], elsewhere[possible]
    if not len(found.pair):
        return {}
    elsewhere = elsewhere + _among_others(found, inside - elsewhere, of)
    kept, outside = _are_own(inside, elsewhere, sizes[found.cluster], account_count)
    return _by_cluster(found, inside, outside, kept)


def _texts(senders: IbisTable, signals: IbisTable, engine: Engine) -> pa.Table:
    """Some texts of every member, those of the smallest hashes: cluster_id, account_id, item_id, and their signals.

    What a campaign keeps saying is in them, and the cost follows its accounts.
    """
    order = ibis.window(group_by=["cluster_id", "account_id"], order_by="item_id")
    ranked = senders.mutate(rank=ibis.row_number().over(order))
    chosen = ranked.filter(ranked["rank"] < MAX_TEXTS).drop("rank", "n", "day").to_pyarrow()
    told = signals.select("exchange_id", "sketch", "system_prompt_id")
    return told.inner_join(engine.memory(chosen), "exchange_id").drop("exchange_id").to_pyarrow()


def _candidates(texts: pa.Table, threads: int) -> _Candidates:
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
        found.append(recurring(*(column[rows] for column in columns), least=(OWN_ACCOUNTS, OWN_TEXTS), threads=threads))
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
    """A number for every account, by cluster and name, and its cluster or _OUTSIDE: account_id, number, cluster_id."""
    names = signals.select("account_id").distinct().to_pyarrow()["account_id"].combine_chunks()
    places = pc.index_in(names, members["account_id"].combine_chunks())
    clusters = pc.fill_null(members["cluster_id"].combine_chunks().take(places), _OUTSIDE)
    accounts = pa.table({"account_id": names, "cluster_id": clusters})
    ordered = accounts.sort_by([("cluster_id", "ascending"), ("account_id", "ascending")])
    return ordered.append_column("number", pa.array(np.arange(len(names))))


def _among_members(found: _Candidates, of: _Sketches) -> tuple[Ints, Ints]:
    """How many members use each candidate, and how many other clusters have a member who does: (candidates,) both."""
    sighted = of.sighted(found.pairs, None, "sightings", of_members=True)
    counted = _counted(sighted, found, of.accounts["cluster_id"].to_numpy())
    return counted.inside, counted.users[found.pair] - 1


def _among_others(found: _Candidates, enough: Ints, of: _Sketches) -> Ints:
    """How many accounts of no cluster use each candidate, at least `enough` (candidates,) where these or more do."""
    most = np.zeros(len(found.pairs), np.int64)
    np.maximum.at(most, found.pair, enough)
    sighted = of.sighted(found.pairs, most, "others", of_members=False)
    return _counted(sighted, found, of.accounts["cluster_id"].to_numpy()).users[found.pair]


def _counted(sighted: IbisTable, found: _Candidates, clusters: Ints) -> Tally:
    """Who uses the pairs. Sorting numbers takes a third of what a hash table of them does.

    Some of the accounts are counted at a time, as memory allows, while the sightings of the next are fetched.
    """
    parts = int(sighted.count().to_pyarrow().as_py()) // _SORTED_AT_ONCE + 1
    ends = [len(clusters) * part // parts * len(found.pairs) for part in range(parts + 1)]
    counted, last = tally(found.cluster, found.pair, len(found.pairs)), Future[None]()
    last.set_result(None)
    with ThreadPoolExecutor(1) as pool:
        for low, high in pairwise(ends):
            chosen = sighted if parts == 1 else sighted.filter((sighted.sighting >= low) & (sighted.sighting < high))
            said = chosen.to_pyarrow()["sighting"].to_numpy()
            last.result()
            last = pool.submit(_count_unsorted, said, clusters, counted)
        last.result()
    return counted


def _count_unsorted(said: Ints, clusters: Ints, counted: Tally) -> None:
    count(np.sort(said), clusters, counted)


def _are_own(inside: Ints, elsewhere: Ints, sizes: Ints, account_count: int) -> tuple[Bools, Floats]:
    """Which candidates members use far more than others, and the share of others that do, half an account added.

    `elsewhere` counts every other cluster as one account. What is nobody's own stays so, however many more are found.
    """
    outside = np.minimum((elsewhere + 0.5) / (np.maximum(account_count - sizes, 0) + 1.0), 1.0)
    commoner = (inside + 0.5) / (sizes + 1.0) >= OWN_TIMES * outside
    return (inside > elsewhere) & commoner, outside


def _by_cluster(found: _Candidates, inside: Ints, outside: Floats, kept: Bools) -> dict[int, Wordings]:
    """The candidates that are kept, as the wordings of their clusters."""
    own: dict[int, Wordings] = {}
    rows = np.flatnonzero(kept)
    numbers, starts = np.unique(found.cluster[rows], return_index=True)
    for number, those in zip(numbers.tolist(), np.split(rows, starts[1:]), strict=False):
        chosen = found.pairs[found.pair[those]]
        own[number] = Wordings(chosen[:, 0], chosen[:, 1], inside[those], outside[those])
    return own
