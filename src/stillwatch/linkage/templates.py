"""Prompt templates: wordings that recur over many exchanges while the text around them changes.

Why:    a harvest sends one skeleton tens of thousands of times with another item in its slot each time; over many
        accounts that is the sign no single exchange shows.
Misses: prompts with no wording in common (translated, or reworded beyond what `rewordings` finds); templates seen in
        fewer than `MIN_TEXTS` texts; wording outside the head and tail that sketches keep.
Source: content-defined sampling of shingles follows Schleimer, Wilkerson & Aiken, "Winnowing", SIGMOD 2003. Telling a
        template from an item by how its text varies within an account is our own; no pair of prompts is ever compared.

    1. The vocabulary: fingerprints that one account after another puts into ever new texts. An item that is asked
       again, even by many accounts, comes in one or two texts of each.
    2. The template of an exchange is the whole set of vocabulary fingerprints in its sketch. Owners who share a
       sentence share a part of the set; only those who share the skeleton share all of it.
    3. Prompts whose set does not recur, but whose fingerprints keep one another's company, are rewordings of one
       template: see `rewordings`.
    4. A prompt without a template that bears what a partner sent has the template of that lead: see `received`.
    5. A template is a trait when its text varies within accounts as its fingerprints do.
    6. Beside its template a prompt has a family, the pool of words it draws from: see `families`. It ties nobody.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.engines.base import BatchFunction, Engine, IbisTable
from stillwatch.linkage.choosing import Limits, limits, limits_of_shelf, texts_of_shelf
from stillwatch.linkage.families import MAX_ACCOUNT_TEXTS, NO_FAMILIES, Families, families
from stillwatch.linkage.families import one_in as texts_one_in
from stillwatch.linkage.matching import NO_GROUP, Vocabulary, group_of, indexed, matrix, numbers, set_ids, vectors
from stillwatch.linkage.received import NO_LEADS, Leads, Recognition, label
from stillwatch.linkage.recurrence import recurring
from stillwatch.linkage.rewordings import groups, most_of_account, sampled
from stillwatch.linkage.shelves import (
    ACCOUNT,
    EXCHANGE,
    KEY,
    NOTED,
    ON_SHELVES,
    SKETCH,
    TEXT,
    Shelves,
    shelved,
)
from stillwatch.records import EMBEDDING_SIZE, SKETCH_SIZE

MIN_TEXTS = 5  # different texts of one account each; below this, coincidence and retries dominate
TEXTS_PER_ACCOUNT = 3.0  # different texts in which an account that has it uses a wording, on average
MIN_MATCHED = 2  # vocabulary fingerprints that make a template: one alone is a phrase
VOCABULARY = "vocabulary.parquet"  # in the work folder
MOST_LOOKED_AT = 4_000_000  # prompts among which rewordings are looked for
READ_ROWS = 65_536
MOST_COUNTED = 12_000_000  # exchanges whose fingerprints are counted by account at once

Ints = NDArray[np.int64]

TEMPLATED_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("model", pa.string()),
        ("template_id", pa.int64()),
        ("family_id", pa.int64()),
        ("item_id", pa.int64()),
        ("system_prompt_id", pa.int64()),
        ("capability", pa.string()),
        ("intents", pa.int64()),
        ("output_tokens", pa.int64()),
        ("reasoning_tokens", pa.int64()),
        ("finish_reason", pa.string()),
        ("status", pa.string()),
        ("script", pa.string()),
        ("place", pa.string()),
        ("embedding", pa.list_(pa.int8(), EMBEDDING_SIZE)),
        ("lead", pa.int64()),
    ]
)

LOOKS_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("template_id", pa.int64()),
        ("item_id", pa.int64()),
        ("numbers", pa.list_(pa.int32())),
    ]
)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads a hash whose low bits were used


class Templated(NamedTuple):
    """Exchanges with the template each bears and the item in its slots, and the templates that may be traits.

    `exchanges` as in TEMPLATED_SCHEMA; `exact` and `loose` have one column, `template_id`: templates that recur word
    for word in changing texts, and those that gather other prompts, whose texts may change enough or not.
    """

    exchanges: IbisTable
    exact: IbisTable
    loose: IbisTable


class Recurring(NamedTuple):
    """What recurs in changing texts, fingerprints and sets of them, both sorted; and prompts that may be rewordings.

    `prompts` are lists of the numbers of fingerprints that a prompt has, of a sample of those whose set does not recur.
    Where exchanges were counted here, `texts` are those that families may be learned from, `account_id` and `text_id`,
    and `limits` say whose embeddings are kept, if they are to be chosen.
    """

    fingerprints: Ints
    exact: Ints
    prompts: pa.ChunkedArray
    texts: pa.Table | None = None
    limits: Limits | None = None


def templated(
    signals: IbisTable,
    engine: Engine,
    work: Path,
    leads: Leads = NO_LEADS,
    *,
    embedded: IbisTable | None = None,
    per_day: int | None = None,
) -> Templated:
    """Which template and family every exchange bears, and the number of the lead; kept in `work`.

    One pass over the sketches finds what recurs, the other says which template each exchange bears. Where all rows lie
    on this machine kernels count them account by account, else the engine does; both find the same. `embedded` are the
    signals with their embeddings, where these are not among them. Of an account and day so many embeddings are kept as
    `per_day` says, where rows lie here; all, where it says nothing.
    """
    recurs = (
        recurring_here(signals, engine, work, per_day)
        if engine.threads_here
        else recurring_there(signals, engine, work)
    )
    exact, rows = recurs.exact, signals if embedded is None else embedded
    nothing = not len(recurs.fingerprints) and not leads.campaigns
    if nothing and not rows.embedding.type().is_binary() and per_day is None:
        return _without_templates(rows, engine, work)
    known = indexed(recurs.fingerprints, groups(recurs.prompts, len(recurs.fingerprints)))
    engine.write(engine.memory(vocabulary_rows(known, exact)), work / VOCABULARY)
    is_learned = "words" in signals.columns and not nothing
    pools = families(signals, engine, work, recurs.texts) if is_learned else NO_FAMILIES
    names = [*TEMPLATED_SCHEMA.names, "sketch", "text_id", *(["words"] if pools.by_script else [])]
    wanted = rows.select(*[name for name in names if name in rows.columns])
    bearing = templated_batches(known, exact, leads, pools, recurs.limits)
    exchanges = engine.map_batches(wanted, bearing, TEMPLATED_SCHEMA, work / "templated")
    named = (pa.table({"template_id": pa.array(ids)}) for ids in (exact, loose_templates(known, leads)))
    return Templated(exchanges, *map(engine.memory, named))


def recurring_here(signals: IbisTable, engine: Engine, work: Path, per_day: int | None = None) -> Recurring:
    """What recurs, counted here; `per_day` embeddings of an account are to be kept, all where it is null."""
    exchanges = int(signals.count().to_pyarrow().as_py())
    names = [*ON_SHELVES, *(name for name in NOTED if name in signals.columns)]
    sketched = signals.filter(signals.sketch.notnull() & signals.text_id.notnull()).select(*names)
    shelves = shelved(sketched.to_pyarrow_batches(chunk_size=READ_ROWS), exchanges, work / "shelves")
    is_all = shelves.size == exchanges
    accounts = shelves.accounts if is_all else int(signals.account_id.nunique().to_pyarrow().as_py())
    count = partial(
        recurring, shelves, least=MIN_TEXTS, texts_per_account=TEXTS_PER_ACCOUNT, threads=engine.threads_here
    )
    fingerprints = count((SKETCH, SKETCH + SKETCH_SIZE))
    known = indexed(fingerprints)

    def keyed(shelf: int) -> Ints:
        found = shelves.rows(shelf)
        _, ids, counts = _matched(found[:, SKETCH:], known)
        found[:, KEY] = np.where(counts >= MIN_MATCHED, ids, 0)
        shelves.keep_keys(shelf, found[:, KEY])
        return found

    exact = count((KEY, KEY + 1), prepared=keyed)
    one_in, most = _one_in(exchanges), most_of_account(accounts)

    def chosen(shelf: int) -> tuple[pa.Array, tuple[Ints, Ints], tuple[Ints, Ints]]:
        rows = shelves.rows(shelf)
        prompts = _prompts(rows, shelves.keys(shelf), known=known, exact=exact, one_in=one_in, most=most)
        copies = shelves.first_copies(rows)
        texts = texts_of_shelf(rows, copies, texts_one_in(shelves.written), MAX_ACCOUNT_TEXTS)
        none = rows[:0, KEY]
        return prompts, texts, limits_of_shelf(rows, shelves.by_account(rows), per_day) if per_day else (none, none)

    with ThreadPoolExecutor(engine.threads_here) as pool:
        prompts, texts, found = zip(*pool.map(chosen, range(shelves.count)), strict=True)
    shelves.remove()
    kept = None if per_day is None else limits(list(found), shelves.names)
    return Recurring(fingerprints, exact, pa.chunked_array(prompts), _named(texts, shelves), kept)


def _named(texts: Sequence[tuple[Ints, Ints]], shelves: Shelves) -> pa.Table:
    """The texts of all shelves with the names of their accounts, as a dictionary."""
    numbers_of, ids = (np.concatenate(parts) for parts in zip(*texts, strict=True))
    names = pa.array(list(shelves.names), pa.string())
    return pa.table({"account_id": pa.DictionaryArray.from_arrays(numbers_of.astype(np.int32), names), "text_id": ids})


def _prompts(rows: Ints, keys: Ints, *, known: Vocabulary, exact: Ints, one_in: int, most: int) -> pa.Array:
    """What `looks` and `rewordings.sampled` would choose of a shelf: lists of the numbers of fingerprints."""
    left = np.flatnonzero((keys != 0) & _is_looked_at(rows[:, TEXT], one_in) & ~_among(keys, exact))
    ordered = left[np.lexsort((rows[left, EXCHANGE], rows[left, ACCOUNT]))]
    owners = rows[ordered, ACCOUNT]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    chosen = rows[ordered[rank < most], SKETCH:]
    return _lists(_matched(chosen, known)[0], is_null=np.zeros(len(chosen), np.bool_))


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


def _without_templates(signals: IbisTable, engine: Engine, work: Path) -> Templated:
    """What the two passes would leave where no wording recurs, as in logs without prompts: nothing is read for it."""
    nothing = np.zeros(0, np.int64)
    engine.write(engine.memory(vocabulary_rows(indexed(nothing), nothing)), work / VOCABULARY)
    nulls = {name: ibis.null("int64") for name in ("template_id", "family_id", "lead")}
    exchanges = signals.mutate(item_id=signals.text_id, **nulls).select(*TEMPLATED_SCHEMA.names)
    none = engine.memory(pa.table({"template_id": pa.array([], pa.int64())}))
    return Templated(exchanges, none, none)


def vocabulary_rows(known: Vocabulary, exact: Ints) -> pa.Table:
    """What later exchanges are recognised by: every fingerprint with its group, then every template (group null)."""
    values = np.concatenate([known.fingerprints, exact])
    numbers_of = np.concatenate([known.group, np.zeros(len(exact), np.int64)])
    is_template = np.arange(len(values)) >= len(known.fingerprints)
    return pa.table({"value": pa.array(values), "group": pa.array(numbers_of, mask=is_template)})


def recognised(rows: pa.Table) -> tuple[Vocabulary, Ints]:
    """The vocabulary, and the templates that recur as exact sets, of what `vocabulary_rows` gave; in any order."""
    is_template = rows["group"].is_null()
    words = rows.filter(pc.invert(is_template)).sort_by("value")
    exact = np.sort(rows.filter(is_template)["value"].to_numpy())
    return indexed(words["value"].to_numpy(), words["group"].to_numpy().astype(np.int64)), exact


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
    return varied.filter(_varies(varied)).select("fingerprint")


def _each(rows: IbisTable, key: str) -> IbisTable:
    """A row per fingerprint of each row."""
    listed = rows.select(key, fingerprint=rows.sketch.unnest())
    return listed.filter(listed.fingerprint != 0)


def looks(known: Vocabulary, *, one_in: int = 1) -> BatchFunction:
    """A function from a batch of signals to a first look at its templates, as in LOOKS_SCHEMA.

    `numbers`, the fingerprints of the vocabulary that a prompt has, are given for one text in `one_in`.
    """

    def looked(batch: pa.RecordBatch) -> pa.RecordBatch:
        found, ids, counts = _matched(matrix(batch["sketch"], np.int64), known)
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


def accepted(looks: IbisTable) -> IbisTable:
    """The templates whose text varies: one column, `template_id`."""
    bearing = looks.filter(looks.template_id.notnull())
    held = bearing.group_by(["account_id", "template_id"]).aggregate(texts=bearing.item_id.nunique())
    counted = held.group_by("template_id").aggregate(texts=held.texts.sum(), accounts=held.count())
    return counted.filter(_varies(counted)).select("template_id")


def templated_batches(
    known: Vocabulary,
    exact: Ints,
    leads: Leads = NO_LEADS,
    pools: Families = NO_FAMILIES,
    limits: Limits | None = None,
) -> BatchFunction:
    """A function from a batch of signals to template, family, item and lead, as TEMPLATED_SCHEMA (null: bears none).

    `exact` are the templates, sorted, that recur as exact sets. Any other prompt has the template of the group that it
    rewords, where there is one; the names of groups are those of their first fingerprints.
    """
    names, recognition = group_templates(known), Recognition(leads)

    def templated(batch: pa.RecordBatch) -> pa.RecordBatch:
        # Two prompts of one template carry the same item exactly when their whole texts are equal.
        template, lead = template_ids(batch["sketch"], known, names, exact), recognition.leads(batch["sketch"])
        columns = {
            "template_id": pc.coalesce(template, recognition.templates(lead)),
            "family_id": _families_of(batch, pools),
            "item_id": batch["text_id"],
            "lead": lead,
            "embedding": vectors(
                limits.kept(batch) if limits else batch["embedding"], TEMPLATED_SCHEMA.field("embedding").type
            ),
        }
        arrays = [columns[name] if name in columns else batch[name] for name in TEMPLATED_SCHEMA.names]
        return pa.RecordBatch.from_arrays(arrays, schema=TEMPLATED_SCHEMA)

    return templated


def _families_of(batch: pa.RecordBatch, pools: Families) -> pa.Array:
    """The family of each prompt; the words are not read where there are no families."""
    return pools.ids_of(batch["words"], batch["script"]) if pools.by_script else pa.nulls(batch.num_rows, pa.int64())


def template_ids(sketches: pa.Array | pa.ChunkedArray, known: Vocabulary, names: Ints, exact: Ints) -> pa.Array:
    """The template of each sketch, null for none; `names` are those of the vocabulary's groups."""
    found, ids, counts = _matched(matrix(sketches, np.int64), known)
    groups = np.empty(len(found), np.int64)
    group_of(found, known, MIN_MATCHED, groups)
    rewords = (groups != NO_GROUP) & ~_among(ids, exact)
    return pa.array(np.where(rewords, names[groups], ids), mask=counts < MIN_MATCHED)


def _matched(sketches: Ints, known: Vocabulary) -> tuple[Ints, Ints, Ints]:
    """Numbers of the known fingerprints of each prompt (rows, size), their set ids and how many they are (rows,)."""
    sketches = np.ascontiguousarray(sketches)
    found, ids = np.empty(sketches.shape, np.int64), np.empty(len(sketches), np.int64)
    counts = np.empty(len(sketches), np.int64)
    numbers(sketches, known, found)
    set_ids(found, known, ids, counts)
    return found, ids, counts


def group_templates(known: Vocabulary) -> Ints:
    """The template of each group: the mixed bits of its smallest fingerprint, last one for no group."""
    size = int(known.group.max(initial=NO_GROUP)) + 1
    first = np.full(size + 1, -1, np.int64)
    for number in range(len(known.fingerprints) - 1, -1, -1):
        first[known.group[number]] = number
    ids, counts = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    set_ids(first[:, None], known, ids, counts)
    return ~ids


def loose_templates(known: Vocabulary, leads: Leads = NO_LEADS) -> Ints:
    """The templates of groups and of leads, sorted."""
    of_leads = np.array([label(name) for name in leads.campaigns], np.int64)
    return np.unique(np.concatenate([group_templates(known)[:-1], of_leads]))


def _among(ids: Ints, wanted: Ints) -> NDArray[np.bool_]:
    """Which of the ids are among the wanted, which are sorted."""
    if not len(wanted):
        return np.zeros(len(ids), np.bool_)
    return np.asarray(wanted[np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)] == ids)


def template_traits(found: Templated) -> IbisTable:
    """Which account bears which template, for templates whose text varies; columns as in `records.TRAITS`.

    One that does not recur word for word is of the kind `rewording`: who merely uses its sentences may hold it too.
    """
    templated, exact = found.exchanges, found.exact.select(exact_id="template_id")
    varied = found.exact.union(accepted(templated.semi_join(found.loose, "template_id")), distinct=True)
    bearing = templated.semi_join(varied, "template_id")
    held = bearing.group_by(["account_id", "template_id"]).aggregate(
        exchanges=bearing.count().cast("int64"),
        first_seen_at=bearing.started_at.min(),
        last_seen_at=bearing.started_at.max(),
    )
    told = held.left_join(exact, held.template_id == exact.exact_id)
    kind = told.exact_id.notnull().ifelse("template", "rewording")
    return told.mutate(kind=kind, value=told.template_id.cast("string")).drop("exact_id")


def _varies(counted: IbisTable) -> IbisTable:
    """Whether a wording comes in enough texts, and in enough of each account that has it."""
    return (counted.texts >= MIN_TEXTS) & (counted.texts >= TEXTS_PER_ACCOUNT * counted.accounts)


def _lists(found: Ints, is_null: NDArray[np.bool_]) -> pa.Array:
    """The numbers of each row, those before the first -1, as a list; null where it is said."""
    ends = np.append(0, np.cumsum((found >= 0).sum(axis=1))).astype(np.int32)
    offsets = pa.array(ends, mask=np.append(is_null, False))
    return pa.ListArray.from_arrays(offsets, pa.array(found[found >= 0].astype(np.int32)))
