"""Prompt templates: skeletons that recur over many exchanges while their slots change.

Why:    a harvest sends one skeleton tens of thousands of times with another item in its slot each time; over many
        accounts that is the sign no single exchange shows.
Misses: prompts with no wording in common (translated or freely reworded on each call); templates seen fewer than
        `MIN_EXCHANGES` times; wording outside the head and tail that sketches keep.
Source: content-defined sampling of shingles follows Schleimer, Wilkerson & Aiken, "Winnowing", SIGMOD 2003; mining
        skeletons from co-occurring fingerprints instead of from similar pairs is our own (no pair of prompts is ever
        compared, so a template of a million exchanges costs a million steps).

    1. A fingerprint that recurs is part of some skeleton or of a common phrase: keep those (the vocabulary).
    2. Exchanges with the same recurring fingerprints are one signature; count signatures, not exchanges.
    3. Two fingerprints that imply each other (both conditional shares >= MUTUAL_SHARE) belong to one skeleton:
       skeletons are the connected components.
    4. An item repeated often enough looks like a skeleton too. If a component nearly always comes inside a much
       more frequent one, it is an item of that one: nested components resolve to their outermost.
"""

from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.engines.base import BatchFunction, IbisTable

MIN_EXCHANGES = 5  # a skeleton must recur; below this, coincidence and retries dominate
MUTUAL_SHARE = 0.6  # each fingerprint must imply the other this often to be one skeleton
NESTED_SHARE = 0.8  # a component that comes inside another this often ...
NESTED_RATIO = 3.0  # ... which is at least this much more frequent, is an item of it
MIN_MATCHED = 2  # fingerprints an exchange must share with a skeleton to bear it
MIN_OUTER = 3  # fingerprints the outer skeleton needs to swallow nested ones: common phrases have fewer
MIN_ITEMS = 8  # different slot fillings; text that only ever recurs word for word is an item, not a template
MAX_SIGNATURES = 400_000  # signatures examined for co-occurrence: bounds the pairs at about 50 million

Ints = NDArray[np.int64]

SIGNATURE_SCHEMA = pa.schema([("signature", pa.int64()), ("members", pa.list_(pa.int32())), ("exchanges", pa.int64())])

TEMPLATED_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.string()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("model", pa.string()),
        ("template_id", pa.int64()),
        ("item_id", pa.int64()),
        ("system_prompt_id", pa.int64()),
        ("capability", pa.string()),
        ("intents", pa.int64()),
        ("output_tokens", pa.int64()),
        ("reasoning_tokens", pa.int64()),
        ("prompt_words", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Skeletons:
    """The vocabulary of recurring fingerprints and the skeleton each belongs to.

    `fingerprints` (n,) int64 sorted; `component` (n,) int64, -1 for a fingerprint in no skeleton;
    `template_ids` (components,) int64, stable across runs; `outer` (components,) int64, the skeleton it resolves to.
    """

    fingerprints: Ints
    component: Ints
    template_ids: Ints
    outer: Ints


def fingerprint_counts(signals: IbisTable) -> IbisTable:
    """Exchanges per fingerprint, for fingerprints that recur: columns `fingerprint`, `exchanges`."""
    rows = signals.filter(signals.sketch.notnull()).select(fingerprint=signals.sketch.unnest())
    present = rows.filter(rows.fingerprint != 0)
    counted = present.group_by("fingerprint").aggregate(exchanges=present.count())
    return counted.filter(counted.exchanges >= MIN_EXCHANGES)


def signature_batches(fingerprints: Ints) -> BatchFunction:
    """A function from a batch with `sketch` to its distinct signatures, as in SIGNATURE_SCHEMA."""

    def signatures(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = _lookup(_sketches(batch), fingerprints)
        keys = _row_keys(found)
        chosen, first, counts = np.unique(keys, return_index=True, return_counts=True)
        keep = (found[first] >= 0).sum(axis=1) >= MIN_MATCHED
        members = found[first[keep]]
        offsets = np.concatenate([[0], np.cumsum((members >= 0).sum(axis=1))]).astype(np.int32)
        values = members[members >= 0].astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
        columns = [pa.array(chosen[keep]), lists, pa.array(counts[keep].astype(np.int64))]
        return pa.RecordBatch.from_arrays(columns, schema=SIGNATURE_SCHEMA)

    return signatures


def merged_signatures(partial: IbisTable) -> IbisTable:
    """Partial signature counts of all batches, merged; the most telling ones if there are very many."""
    merged = partial.group_by("signature").aggregate(
        members=partial.members.arbitrary(), exchanges=partial.exchanges.sum().cast("int64")
    )
    return merged.order_by([merged.exchanges.desc(), merged.signature]).limit(MAX_SIGNATURES)


def skeletons(fingerprints: Ints, signatures: pa.Table) -> Skeletons:
    """Mine skeletons from merged signatures; steps 3 and 4 of the module summary."""
    members = signatures["members"].combine_chunks()
    offsets = np.asarray(members.offsets, dtype=np.int64)
    values = np.asarray(members.values, dtype=np.int64)
    weights = np.asarray(signatures["exchanges"], dtype=np.int64)
    rows = np.repeat(np.arange(len(weights)), np.diff(offsets))
    count = np.bincount(values, weights=weights[rows], minlength=len(fingerprints)).astype(np.float64)
    component = _components(_pairs(offsets, values, weights, len(fingerprints)), count)
    sizes = int(component.max(initial=-1)) + 1
    outer = _outer(component, offsets, values, weights, sizes)
    return Skeletons(fingerprints, component, _template_ids(fingerprints, component, count, sizes), outer)


def _pairs(offsets: Ints, values: Ints, weights: Ints, size: int) -> sparse.csr_array:
    """Exchanges in which two fingerprints occur together: (size, size), upper triangle."""
    left, right, owner = _pair_kernel(offsets, values)
    return sparse.coo_array((weights[owner], (left, right)), shape=(size, size)).tocsr()


def _components(pairs: sparse.csr_array, count: NDArray[np.float64]) -> Ints:
    """Connected components of mutual implication with at least two fingerprints; -1 elsewhere."""
    together = pairs.tocoo()
    share = together.data / np.maximum(count[together.row], count[together.col])
    keep = (share >= MUTUAL_SHARE) & (together.data >= MIN_EXCHANGES)
    graph = sparse.coo_array((share[keep], (together.row[keep], together.col[keep])), shape=pairs.shape)
    _, labels = csgraph.connected_components(graph, directed=False)
    sizes = np.bincount(labels, minlength=1)
    renumbered = np.full(len(sizes), -1, dtype=np.int64)
    large = np.flatnonzero(sizes >= MIN_MATCHED)
    renumbered[large] = np.arange(len(large))
    return renumbered[labels]


def _outer(component: Ints, offsets: Ints, values: Ints, weights: Ints, sizes: int) -> Ints:
    """For each component the skeleton that contains it, or itself; step 4 of the module summary."""
    rows = np.repeat(np.arange(len(weights)), np.diff(offsets))
    known = component[values] >= 0
    matched = sparse.coo_array(
        (np.ones(int(known.sum())), (rows[known], component[values[known]])), shape=(len(weights), sizes)
    ).tocsr()
    borne = (matched >= MIN_MATCHED).astype(np.float64)
    containing = (matched >= MIN_OUTER).astype(np.float64)
    inside = (borne.T @ containing.multiply(weights[:, None])).tocoo()
    total = borne.T @ weights.astype(np.float64)
    nested = (
        (inside.row != inside.col)
        & (inside.data >= NESTED_SHARE * total[inside.row])
        & (total[inside.col] >= NESTED_RATIO * total[inside.row])
    )
    outer = np.arange(sizes)
    order = np.lexsort((inside.col[nested], total[inside.col[nested]]))  # the most frequent container wins
    outer[inside.row[nested][order]] = inside.col[nested][order]
    while not np.array_equal(outer, outer[outer]):
        outer = outer[outer]
    return outer


def _template_ids(fingerprints: Ints, component: Ints, count: NDArray[np.float64], sizes: int) -> Ints:
    """A stable name for each component: its smallest fingerprint among those at least half as frequent as its peak."""
    peak = np.zeros(sizes)
    known = np.flatnonzero(component >= 0)
    np.maximum.at(peak, component[known], count[known])
    core = known[count[known] >= peak[component[known]] / 2]
    ids = np.full(sizes, np.iinfo(np.int64).max)
    np.minimum.at(ids, component[core], fingerprints[core])
    return ids


def template_traits(templated: IbisTable) -> IbisTable:
    """Which account bears which template, for templates whose slots change; columns as in `records.TRAITS`."""
    bearing = templated.filter(templated.template_id.notnull())
    items = bearing.group_by("template_id").aggregate(items=bearing.item_id.nunique())
    changing = bearing.semi_join(items.filter(items.items >= MIN_ITEMS), "template_id")
    held = changing.group_by(["account_id", "template_id"]).aggregate(
        exchanges=changing.count().cast("int64"),
        first_seen_at=changing.started_at.min(),
        last_seen_at=changing.started_at.max(),
    )
    return held.mutate(kind=ibis.literal("template"), value=held.template_id.cast("string"))


def templated_batches(found: Skeletons) -> BatchFunction:
    """A function from a batch of signals to its template and item, as in TEMPLATED_SCHEMA (null: bears none)."""

    def templated(batch: pa.RecordBatch) -> pa.RecordBatch:
        positions = _lookup(_sketches(batch), found.fingerprints)
        component = np.where(positions >= 0, _take(found.component, positions), -1)
        chosen = _assign_kernel(component, found.outer)
        bears = chosen >= 0
        template = pa.array(_take(found.template_ids, np.where(bears, chosen, 0)), mask=~bears)
        # Two prompts of one template carry the same item exactly when their whole texts are equal.
        columns = {"template_id": template, "item_id": batch["text_id"]}
        arrays = [columns[name] if name in columns else batch[name] for name in TEMPLATED_SCHEMA.names]
        return pa.RecordBatch.from_arrays(arrays, schema=TEMPLATED_SCHEMA)

    return templated


def _sketches(batch: pa.RecordBatch) -> Ints:
    """The sketch column as (rows, size) int64; rows without a sketch are zeros."""
    column = batch["sketch"]
    size = _sketch_size(column)
    filled = np.zeros((len(column), size), dtype=np.int64)
    valid = np.asarray(column.is_valid())
    filled[valid] = np.asarray(column.drop_null().flatten(), dtype=np.int64).reshape(-1, size)
    return filled


def _sketch_size(column: pa.Array) -> int:
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    dropped = column.drop_null()
    return len(dropped.flatten()) // len(dropped) if len(dropped) else 1


def _take(values: Ints, positions: Ints) -> Ints:
    """values[positions], with anything out of reach read as position 0; empty vocabularies give zeros."""
    return values[np.maximum(positions, 0)] if len(values) else np.zeros(positions.shape, dtype=np.int64)


def _lookup(sketches: Ints, fingerprints: Ints) -> Ints:
    """Position of each fingerprint in the vocabulary, -1 when it is not there; rows keep their shape."""
    if not len(fingerprints):
        return np.full(sketches.shape, -1, dtype=np.int64)
    positions = np.minimum(np.searchsorted(fingerprints, sketches), len(fingerprints) - 1)
    return np.where((fingerprints[positions] == sketches) & (sketches != 0), positions, -1)


def _row_keys(found: Ints) -> Ints:
    """A hash of the set of vocabulary positions in each row; sorts the rows of `found` in place, repeats removed."""
    found.sort(axis=1)
    repeat = np.zeros(found.shape, dtype=bool)
    repeat[:, 1:] = (found[:, 1:] == found[:, :-1]) & (found[:, 1:] >= 0)
    found[repeat] = -1
    found.sort(axis=1)
    keys = np.zeros(len(found), dtype=np.uint64)
    for column in found.T:
        keys = (keys ^ (column + 1).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys.view(np.int64)


@njit(nogil=True, cache=True)
def _pair_kernel(offsets: Ints, values: Ints) -> tuple[Ints, Ints, Ints]:  # pragma: no cover - compiled
    """All pairs within each signature: left position, right position, signature; left < right."""
    total = 0
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        total += size * (size - 1) // 2
    left = np.empty(total, np.int64)
    right = np.empty(total, np.int64)
    owner = np.empty(total, np.int64)
    at = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            for j in range(i + 1, offsets[row + 1]):
                left[at], right[at], owner[at] = values[i], values[j], row
                at += 1
    return left, right, owner


@njit(nogil=True, cache=True)
def _assign_kernel(component: Ints, outer: Ints) -> Ints:  # pragma: no cover - compiled
    """Skeleton of each row, -1 for none: the outermost of the component with most fingerprints in the row."""
    rows, size = component.shape
    chosen = np.full(rows, -1, np.int64)
    for row in range(rows):
        best = np.int64(0)
        for i in range(size):
            if component[row, i] < 0:
                continue
            matched = np.int64(0)
            for j in range(size):
                matched += component[row, j] == component[row, i]
            smaller = matched == best and component[row, i] < chosen[row]
            if matched >= MIN_MATCHED and (matched > best or smaller):
                best, chosen[row] = matched, component[row, i]
        if chosen[row] >= 0:
            chosen[row] = outer[chosen[row]]
    return chosen
