"""What recurs in changing texts: the fingerprints of the vocabulary, and the sets of them that prompts bear.

Why:    a template is told from an item by how its text varies within an account; both are counted here.
Misses: what stands in fewer than MIN_TEXTS texts; rewordings, for which prompts are only sampled here.
Source: own; see `templates`. Kernels and engines find the same.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillwatch.engines.base import BatchFunction, Engine, IbisTable
from stillwatch.linkage.choosing import Limits, limits, limits_of_shelf, texts_of_shelf
from stillwatch.linkage.families import MAX_ACCOUNT_TEXTS
from stillwatch.linkage.families import one_in as texts_one_in
from stillwatch.linkage.matching import Vocabulary, indexed, matrix, numbers, set_ids
from stillwatch.linkage.recurrence import recurring
from stillwatch.linkage.rewordings import most_of_account, sampled
from stillwatch.linkage.shelves import (
    ACCOUNT,
    EXCHANGE,
    KEY,
    NOTED,
    ON_SHELVES,
    SKETCH,
    TEXT,
    Shelves,
    first_copies,
    shelved,
)
from stillwatch.records import SKETCH_SIZE

MIN_TEXTS = 5  # different texts of one account each; below this, coincidence and retries dominate
TEXTS_PER_ACCOUNT = 3.0  # different texts in which an account that has it uses a wording, on average
MIN_MATCHED = 2  # vocabulary fingerprints that make a template: one alone is a phrase
MOST_LOOKED_AT = 4_000_000  # prompts among which rewordings are looked for
READ_ROWS = 65_536
MOST_COUNTED = 12_000_000  # exchanges whose fingerprints are counted by account at once
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads a hash whose low bits were used

Ints = NDArray[np.int64]

LOOKS_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("template_id", pa.int64()),
        ("item_id", pa.int64()),
        ("numbers", pa.list_(pa.int32())),
    ]
)


class Recurring(NamedTuple):
    """What recurs in changing texts, fingerprints and sets of them, both sorted; and prompts that may be rewordings.

    `prompts` are lists of the numbers of fingerprints that a prompt has, of a sample of those whose set does not recur.
    Where exchanges were counted here, `texts` are those that families may be learned from, `account_id` and `text_id`,
    `limits` say whose embeddings are kept, if they are to be chosen, and `shelves` have what was counted.
    """

    fingerprints: Ints
    exact: Ints
    prompts: pa.ChunkedArray
    texts: pa.Table | None = None
    limits: Limits | None = None
    shelves: Shelves | None = None


def recurring_here(signals: IbisTable, engine: Engine, work: Path, per_day: int | None = None) -> Recurring:
    """What recurs, counted here; `per_day` embeddings of an account are to be kept, all where it is null."""
    exchanges = int(signals.count().to_pyarrow().as_py())
    names = [*ON_SHELVES, *(name for name in NOTED if name in signals.columns)]
    has_prompt = signals.sketch.notnull() & signals.text_id.notnull()
    is_any = has_prompt | signals.system_prompt_id.notnull() if "system_prompt_id" in names else has_prompt
    sketched = signals.filter(is_any).select(*names)
    shelves = shelved(sketched.to_pyarrow_batches(chunk_size=READ_ROWS), exchanges, work / "shelves")
    is_all = shelves.size == exchanges
    accounts = shelves.accounts if is_all else int(signals.account_id.nunique().to_pyarrow().as_py())
    count = partial(
        recurring, shelves, least=MIN_TEXTS, texts_per_account=TEXTS_PER_ACCOUNT, threads=engine.threads_here
    )
    fingerprints = count((SKETCH, SKETCH + SKETCH_SIZE))
    known, found = indexed(fingerprints), dict[int, tuple[tuple[Ints, Ints], tuple[Ints, Ints]]]()
    one_in, most = _one_in(exchanges), most_of_account(accounts)

    def keyed(shelf: int) -> tuple[Ints, Ints]:
        """The rows with their keys; what is chosen of them is chosen on the way, as they are in memory."""
        rows = shelves.rows(shelf)
        order = shelves.by_account(rows)
        copies = first_copies(rows, order)
        texts = texts_of_shelf(rows, copies, texts_one_in(shelves.written), MAX_ACCOUNT_TEXTS)
        found[shelf] = texts, limits_of_shelf(rows, order, per_day) if per_day else (copies[:0], copies[:0])
        _, ids, counts = matched(rows[:, SKETCH:], known)
        rows[:, KEY] = np.where(counts >= MIN_MATCHED, ids, 0)
        shelves.keep(shelf, rows[(rows[:, KEY] != 0) & _is_looked_at(rows[:, TEXT], one_in)])
        return rows, copies

    exact = count((KEY, KEY + 1), prepared=keyed)
    prompts = [_prompts(shelves.taken(shelf), known, exact, most) for shelf in range(shelves.count)]
    texts, cells = zip(*found.values(), strict=True)
    kept = None if per_day is None else limits(list(cells), shelves.names)
    return Recurring(fingerprints, exact, pa.chunked_array(prompts), _named(texts, shelves), kept, shelves.counted())


def _named(texts: Sequence[tuple[Ints, Ints]], shelves: Shelves) -> pa.Table:
    """The texts of all shelves with the names of their accounts, as a dictionary."""
    numbers_of, ids = (np.concatenate(parts) for parts in zip(*texts, strict=True))
    names = pa.array(list(shelves.names), pa.string())
    return pa.table({"account_id": pa.DictionaryArray.from_arrays(numbers_of.astype(np.int32), names), "text_id": ids})


def _prompts(rows: Ints, known: Vocabulary, exact: Ints, most: int) -> pa.Array:
    """What `rewordings.sampled` would choose of the rows of a shelf: lists of the numbers of fingerprints."""
    left = np.flatnonzero(~among(rows[:, KEY], exact))
    ordered = left[np.lexsort((rows[left, EXCHANGE], rows[left, ACCOUNT]))]
    owners = rows[ordered, ACCOUNT]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    chosen = rows[ordered[rank < most], SKETCH:]
    return _lists(matched(chosen, known)[0], is_null=np.zeros(len(chosen), np.bool_))


def recurring_there(signals: IbisTable, engine: Engine, work: Path) -> Recurring:
    """What recurs, counted by the engine."""
    exchanges, accounts = int(signals.count().to_pyarrow().as_py()), numbered_accounts(signals)
    fingerprints = vocabulary(signals, accounts, engine, work, parts=1 << (exchanges // MOST_COUNTED).bit_length())
    first = looks(indexed(fingerprints), one_in=_one_in(exchanges))
    looked = engine.map_batches(
        signals.select("exchange_id", "account_id", "text_id", "sketch"), first, LOOKS_SCHEMA, work / "looks"
    )
    exact = engine.write(accepted(looked), work / "accepted.parquet")
    prompts = sampled(looked, exact, accounts=len(accounts)).to_pyarrow()["numbers"]
    return Recurring(fingerprints, np.sort(exact.to_pyarrow()["template_id"].to_numpy()), prompts)


def _one_in(exchanges: int) -> int:
    return max(exchanges // MOST_LOOKED_AT, 1)


def vocabulary(signals: IbisTable, accounts: pa.Table, engine: Engine, work: Path, parts: int = 1) -> Ints:
    """Fingerprints that recur in changing texts, sorted; step 1 of the module summary.

    Texts are counted as exchanges, less those in which an account repeats itself: repeats are few, so hardly anything
    has to be compared with anything. `accounts` has an `account_id` and a `number` of every account: pairs of an
    account and a fingerprint are many, and narrower so. They are counted in `parts`, a power of two, each with the
    fingerprints of the same last bits, so that only a part of them is held at once.
    """
    sketched = signals.filter(signals.sketch.notnull() & signals.text_id.notnull())
    numbered = sketched.inner_join(engine.memory(accounts), "account_id").select("number", "text_id", "sketch")
    key = ["number", "text_id"]
    counted = numbered.group_by(key).aggregate(copies=numbered.count())
    copies = engine.write(counted.filter(counted.copies > 1), work / "copies.parquet")
    repeated = numbered.inner_join(copies, key)
    texts = repeated.group_by(key).aggregate(surplus=repeated.copies.max() - 1, sketch=repeated.sketch.arbitrary())
    surplus = _each(texts, "surplus").group_by("fingerprint").aggregate(surplus=ibis._.surplus.sum())
    repeats = engine.write(surplus, work / "repeats.parquet")
    found = [_recurring(numbered, repeats, part, parts).to_pyarrow()["fingerprint"].to_numpy() for part in range(parts)]
    return np.sort(np.concatenate(found))


def numbered_accounts(signals: IbisTable) -> pa.Table:
    """Every account with a number of its own: `account_id`, `number`; both ascend."""
    names = signals.select("account_id").distinct().to_pyarrow().sort_by("account_id")["account_id"]
    return pa.table({"account_id": names.cast(pa.string()), "number": pa.array(np.arange(len(names), dtype=np.int32))})


def _recurring(numbered: IbisTable, repeats: IbisTable, part: int, parts: int) -> IbisTable:
    """The fingerprints of one part that recur in changing texts: one column, `fingerprint`."""
    each = _each(numbered, "number")
    if parts > 1:
        each = each.filter((each.fingerprint & (parts - 1)) == part)
    shown = each.group_by(["fingerprint", "number"]).aggregate(exchanges=ibis._.count())
    counted = shown.group_by("fingerprint").aggregate(exchanges=shown.exchanges.sum(), accounts=shown.count())
    joined = counted.left_join(repeats, "fingerprint").select(*counted.columns, "surplus")
    varied = joined.mutate(texts=joined.exchanges - joined.surplus.fill_null(0))
    return varied.filter(varies(varied)).select("fingerprint")


def _each(rows: IbisTable, key: str) -> IbisTable:
    """A row per fingerprint of each row."""
    listed = rows.select(key, fingerprint=rows.sketch.unnest())
    return listed.filter(listed.fingerprint != 0)


def looks(known: Vocabulary, *, one_in: int = 1) -> BatchFunction:
    """A function from a batch of signals to a first look at its templates, as in LOOKS_SCHEMA.

    `numbers`, the fingerprints of the vocabulary that a prompt has, are given for one text in `one_in`.
    """

    def looked(batch: pa.RecordBatch) -> pa.RecordBatch:
        found, ids, counts = matched(matrix(batch["sketch"], np.int64), known)
        bears = counts >= MIN_MATCHED
        shown = bears & _is_looked_at(batch["text_id"].fill_null(0).to_numpy(), one_in)
        columns = {
            "template_id": pa.array(ids, mask=~bears),
            "item_id": batch["text_id"],
            "numbers": _lists(np.where(shown[:, None], found, -1), is_null=~shown),
        }
        arrays = [columns[name] if name in columns else batch[name] for name in LOOKS_SCHEMA.names]
        return pa.RecordBatch.from_arrays(arrays, schema=LOOKS_SCHEMA)

    return looked


def _is_looked_at(texts: Ints, one_in: int) -> NDArray[np.bool_]:
    """One text in so many, by its hash."""
    spread = (np.ascontiguousarray(texts).view(np.uint64) * _SPREAD) >> np.uint64(32)
    return np.asarray(spread % np.uint64(one_in) == 0)


def accepted(looks: IbisTable, key: str = "template_id") -> IbisTable:
    """The templates, or what else exchanges bear, whose text varies: one column, the key."""
    bearing = looks.filter(looks[key].notnull())
    held = bearing.group_by(["account_id", key]).aggregate(texts=bearing.item_id.nunique())
    counted = held.group_by(key).aggregate(texts=held.texts.sum(), accounts=held.count())
    return counted.filter(varies(counted)).select(key)


def matched(sketches: Ints, known: Vocabulary) -> tuple[Ints, Ints, Ints]:
    """Numbers of the known fingerprints of each prompt (rows, size), their set ids and how many they are (rows,)."""
    sketches = np.ascontiguousarray(sketches)
    found, ids = np.empty(sketches.shape, np.int64), np.empty(len(sketches), np.int64)
    counts = np.empty(len(sketches), np.int64)
    numbers(sketches, known, found)
    set_ids(found, known, ids, counts)
    return found, ids, counts


def among(ids: Ints, wanted: Ints) -> NDArray[np.bool_]:
    """Which of the ids are among the wanted, which are sorted."""
    if not len(wanted):
        return np.zeros(len(ids), np.bool_)
    return np.asarray(wanted[np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)] == ids)


def varies(counted: IbisTable) -> IbisTable:
    """Whether a wording comes in enough texts, and in enough of each account that has it."""
    return (counted.texts >= MIN_TEXTS) & (counted.texts >= TEXTS_PER_ACCOUNT * counted.accounts)


def _lists(found: Ints, is_null: NDArray[np.bool_]) -> pa.Array:
    """The numbers of each row, those before the first -1, as a list; null where it is said."""
    ends = np.append(0, np.cumsum((found >= 0).sum(axis=1))).astype(np.int32)
    offsets = pa.array(ends, mask=np.append(is_null, False))
    return pa.ListArray.from_arrays(offsets, pa.array(found[found >= 0].astype(np.int32)))
