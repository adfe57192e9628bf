"""Prompt templates: wordings that recur over many exchanges while the text around them changes.

Why:    a harvest sends one skeleton tens of thousands of times with another item in its slot each time; over many
        accounts that is the sign no single exchange shows.
Misses: prompts with no wording in common (translated or freely reworded on each call); templates seen in fewer than
        `MIN_TEXTS` texts; wording outside the head and tail that sketches keep.
Source: content-defined sampling of shingles follows Schleimer, Wilkerson & Aiken, "Winnowing", SIGMOD 2003. Telling a
        template from an item by how its text varies within an account is our own; no pair of prompts is ever compared.

    1. The vocabulary: fingerprints that one account after another puts into ever new texts. An item that is asked
       again, even by many accounts, comes in one or two texts of each.
    2. The template of an exchange is the whole set of vocabulary fingerprints in its sketch. Owners who share a
       sentence share a part of the set; only those who share the skeleton share all of it.
    3. A template is a trait when its text varies within accounts as its fingerprints do.
"""

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillwatch.engines.base import BatchFunction, IbisTable
from stillwatch.linkage.families import Families, matrix
from stillwatch.records import EMBEDDING_SIZE

MIN_TEXTS = 5  # different texts of one account each; below this, coincidence and retries dominate
TEXTS_PER_ACCOUNT = 3.0  # different texts in which an account that has it uses a wording, on average
MIN_MATCHED = 2  # vocabulary fingerprints that make a template: one alone is a phrase

Ints = NDArray[np.int64]

TEMPLATED_SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("model", pa.string()),
        ("template_id", pa.int64()),
        ("family_id", pa.int64()),
        ("wordings", pa.list_(pa.int64())),
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
    ]
)


def vocabulary(signals: IbisTable) -> IbisTable:
    """Fingerprints that recur in changing texts: one column, `fingerprint`; step 1 of the module summary."""
    sketched = signals.filter(signals.sketch.notnull() & signals.text_id.notnull())
    texts = sketched.group_by(["account_id", "text_id"]).aggregate(sketch=sketched.sketch.arbitrary())
    rows = texts.select("account_id", fingerprint=texts.sketch.unnest())
    present = rows.filter(rows.fingerprint != 0)
    counted = present.group_by("fingerprint").aggregate(texts=present.count(), accounts=present.account_id.nunique())
    return counted.filter(_varies(counted)).select("fingerprint")


def templated_batches(fingerprints: Ints, known_families: Families | None = None) -> BatchFunction:
    """A function from a batch of content to its template, family and item, as in TEMPLATED_SCHEMA (null: bears none).

    `fingerprints` is the vocabulary, sorted; `wordings` are those of it that the exchange has. Without families both
    `family_id` and `wordings`, which only families need, are null.
    """

    def templated(batch: pa.RecordBatch) -> pa.RecordBatch:
        known = _known(matrix(batch["sketch"], np.int64), fingerprints)
        bears = (known != 0).sum(axis=1) >= MIN_MATCHED
        # Two prompts of one template carry the same item exactly when their whole texts are equal.
        columns = {
            "template_id": pa.array(_set_ids(known), mask=~bears),
            "item_id": batch["text_id"],
            **_family_columns(batch, known, known_families),
        }
        arrays = [columns[name] if name in columns else batch[name] for name in TEMPLATED_SCHEMA.names]
        return pa.RecordBatch.from_arrays(arrays, schema=TEMPLATED_SCHEMA)

    return templated


def _family_columns(batch: pa.RecordBatch, known: Ints, families: Families | None) -> dict[str, pa.Array]:
    if families is None:
        return {name: pa.nulls(len(known), TEMPLATED_SCHEMA.field(name).type) for name in ("family_id", "wordings")}
    words = matrix(batch["words"], np.int16).view(np.uint16)
    return {"family_id": families.ids_of(words), "wordings": _lists(known)}


def template_traits(templated: IbisTable) -> IbisTable:
    """Which account bears which template, for templates whose text varies; columns as in `records.TRAITS`."""
    bearing = templated.filter(templated.template_id.notnull())
    held = bearing.group_by(["account_id", "template_id"]).aggregate(
        exchanges=bearing.count().cast("int64"),
        texts=bearing.item_id.nunique(),
        first_seen_at=bearing.started_at.min(),
        last_seen_at=bearing.started_at.max(),
    )
    counted = held.group_by("template_id").aggregate(texts=held.texts.sum(), accounts=held.count())
    varied = held.drop("texts").semi_join(counted.filter(_varies(counted)), "template_id")
    return varied.mutate(kind=ibis.literal("template"), value=varied.template_id.cast("string"))


def _varies(counted: IbisTable) -> IbisTable:
    """Whether a wording comes in enough texts, and in enough of each account that has it."""
    return (counted.texts >= MIN_TEXTS) & (counted.texts >= TEXTS_PER_ACCOUNT * counted.accounts)


def _known(sketches: Ints, fingerprints: Ints) -> Ints:
    """The sketches with fingerprints outside the vocabulary, and repeats, replaced by zero; rows are sorted."""
    if not len(fingerprints):
        return np.zeros(sketches.shape, dtype=np.int64)
    positions = np.minimum(np.searchsorted(fingerprints, sketches), len(fingerprints) - 1)
    known = np.sort(np.where(fingerprints[positions] == sketches, sketches, 0), axis=1)
    known[:, 1:][known[:, 1:] == known[:, :-1]] = 0
    return known


def _lists(known: Ints) -> pa.Array:
    """The fingerprints of each row as a list; empty where it has none."""
    ends = np.append(0, np.cumsum((known != 0).sum(axis=1))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(known[known != 0]))


def _set_ids(known: Ints) -> Ints:
    """One number per set of fingerprints, whatever their order: the mixed bits of their sum."""
    with np.errstate(over="ignore"):
        spread = known.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        spread = (spread ^ (spread >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        total = np.where(known != 0, spread ^ (spread >> np.uint64(27)), np.uint64(0)).sum(axis=1, dtype=np.uint64)
        total = (total ^ (total >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((total ^ (total >> np.uint64(32))).view(np.int64))
