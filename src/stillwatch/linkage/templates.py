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
    4. A rewording beside the same other words of the vocabulary is a setting, which fewer share than the rewording.
    5. A prompt without a template that bears what a partner sent has the template of that lead: see `received`.
    6. A template is a trait when its text varies within accounts as its fingerprints do.
    7. Beside its template a prompt has a family, the pool of words it draws from: see `families`. It ties nobody.
"""

from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.engines.base import BatchFunction, Engine, IbisTable
from stillwatch.linkage.choosing import Limits
from stillwatch.linkage.families import NO_FAMILIES, Families, families
from stillwatch.linkage.matching import NO_GROUP, Vocabulary, beside, group_of, indexed, matrix, set_ids, vectors
from stillwatch.linkage.received import NO_LEADS, Leads, Recognition, label
from stillwatch.linkage.rewordings import groups
from stillwatch.linkage.shelves import Shelves
from stillwatch.linkage.vocabularies import MIN_MATCHED, accepted, among, matched, recurring_here, recurring_there
from stillwatch.membership import BESIDE, SETTING
from stillwatch.records import EMBEDDING_SIZE

VOCABULARY = "vocabulary.parquet"  # in the work folder

Ints = NDArray[np.int64]

TEMPLATED_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("model", pa.string()),
        ("template_id", pa.int64()),
        ("setting_id", pa.int64()),
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


class Templated(NamedTuple):
    """Exchanges with the template each bears and the item in its slots, and the templates that may be traits.

    `exchanges` as in TEMPLATED_SCHEMA; `exact` and `loose` have one column, `template_id`: templates that recur word
    for word in changing texts, and those that gather other prompts, whose texts may change enough or not. `shelves`
    have the sketches by account, where all rows lie on this machine.
    """

    exchanges: IbisTable
    exact: IbisTable
    loose: IbisTable
    shelves: Shelves | None = None


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
        return _without_templates(rows, engine, work)._replace(shelves=recurs.shelves)
    known = indexed(recurs.fingerprints, groups(recurs.prompts, len(recurs.fingerprints)))
    engine.write(engine.memory(vocabulary_rows(known, exact)), work / VOCABULARY)
    is_learned = "words" in signals.columns and not nothing
    pools = families(signals, engine, work, recurs.texts) if is_learned else NO_FAMILIES
    names = [*TEMPLATED_SCHEMA.names, "sketch", "text_id", *(["words"] if pools.by_script else [])]
    wanted = rows.select(*[name for name in names if name in rows.columns])
    bearing = templated_batches(known, exact, leads, pools, recurs.limits)
    exchanges = engine.map_batches(wanted, bearing, TEMPLATED_SCHEMA, work / "templated")
    named = (pa.table({"template_id": pa.array(ids)}) for ids in (exact, loose_templates(known, leads)))
    return Templated(exchanges, *map(engine.memory, named))._replace(shelves=recurs.shelves)


def _without_templates(signals: IbisTable, engine: Engine, work: Path) -> Templated:
    """What the two passes would leave where no wording recurs, as in logs without prompts: nothing is read for it."""
    nothing = np.zeros(0, np.int64)
    engine.write(engine.memory(vocabulary_rows(indexed(nothing), nothing)), work / VOCABULARY)
    nulls = {name: ibis.null("int64") for name in ("template_id", "setting_id", "family_id", "lead")}
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


def templated_batches(
    known: Vocabulary,
    exact: Ints,
    leads: Leads = NO_LEADS,
    pools: Families = NO_FAMILIES,
    limits: Limits | None = None,
) -> BatchFunction:
    """A function from a batch of signals to template, setting, family, item and lead, as TEMPLATED_SCHEMA (null: none).

    `exact` are the templates, sorted, that recur as exact sets. Any other prompt has the template of the group that it
    rewords, where there is one; the names of groups are those of their first fingerprints.
    """
    names, recognition = group_templates(known), Recognition(leads)
    loose = np.sort(names[:-1])

    def templated(batch: pa.RecordBatch) -> pa.RecordBatch:
        # Two prompts of one template carry the same item exactly when their whole texts are equal.
        template, lead = template_ids(batch["sketch"], known, names, exact), recognition.leads(batch["sketch"])
        columns = {
            "template_id": pc.coalesce(template, recognition.templates(lead)),
            "setting_id": setting_ids(batch["sketch"], template, known, loose),
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
    found, ids, counts = matched(matrix(sketches, np.int64), known)
    groups = np.empty(len(found), np.int64)
    group_of(found, known, MIN_MATCHED, groups)
    rewords = (groups != NO_GROUP) & ~among(ids, exact)
    return pa.array(np.where(rewords, names[groups], ids), mask=counts < MIN_MATCHED)


def setting_ids(sketches: pa.Array | pa.ChunkedArray, templates: pa.Array, known: Vocabulary, loose: Ints) -> pa.Array:
    """The setting of each sketch: its rewording and the first of the vocabulary beside it from either end.

    Null for what is no rewording, or has nothing beside it; `loose` are the templates of groups, sorted. The rewording
    itself is lost in words that are replaced, what its slot begins and ends with is not.
    """
    ids = np.asarray(templates.fill_null(0), dtype=np.int64)
    rows = np.flatnonzero(among(ids, loose) & np.asarray(templates.is_valid()))
    found = np.empty((len(rows), 2), np.int64)
    beside(matrix(sketches.take(pa.array(rows)), np.int64), known, found)
    sets, counts = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    set_ids(found, known, sets, counts)
    settings, has = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    settings[rows], has[rows] = sets ^ ids[rows], counts > 0
    return pa.array(settings, mask=~has)


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


def template_traits(found: Templated) -> IbisTable:
    """Which account bears which template, for templates whose text varies; columns as in `records.TRAITS`.

    One that does not recur word for word is of the kind `rewording`: who merely uses its sentences may hold it too.
    The value of a `setting` is its rewording's, a colon and a number of its own.
    """
    templated, exact = found.exchanges, found.exact.select(exact_id="template_id")
    varied = found.exact.union(accepted(templated.semi_join(found.loose, "template_id")), distinct=True)
    told = _held(templated.semi_join(varied, "template_id"), "template_id").left_join(
        exact, [("template_id", "exact_id")]
    )
    kind = told.exact_id.notnull().ifelse("template", "rewording")
    worded = told.mutate(kind=kind, value=told.template_id.cast("string")).drop("exact_id")
    settings = _held(templated.semi_join(accepted(templated, "setting_id"), "setting_id"), "template_id", "setting_id")
    value = settings.template_id.cast("string") + BESIDE + settings.setting_id.cast("string")
    settings = settings.mutate(kind=ibis.literal(SETTING), value=value).drop("setting_id")
    return worded.union(settings.select(worded.columns))


def _held(bearing: IbisTable, *ids: str) -> IbisTable:
    """Which account bears what, in how many exchanges, from when to when."""
    return bearing.group_by(["account_id", *ids]).aggregate(
        exchanges=bearing.count().cast("int64"),
        first_seen_at=bearing.started_at.min(),
        last_seen_at=bearing.started_at.max(),
    )
