"""Templates: skeletons that recur are mined apart, whatever stands in their slots."""

from datetime import UTC, datetime

import ibis
import numpy as np
import pyarrow as pa
import pytest

from stillwatch.linkage import (
    SIGNATURE_SCHEMA,
    TEMPLATED_SCHEMA,
    fingerprint_counts,
    merged_signatures,
    signature_batches,
    skeletons,
    template_traits,
    templated_batches,
)
from stillwatch.linkage.templates import MIN_EXCHANGES, MIN_ITEMS
from stillwatch.records import SKETCH_SIZE

Sketch = list[int] | None
SIGNALS = pa.schema(
    [
        *(field for field in TEMPLATED_SCHEMA if field.name not in ("template_id", "item_id")),
        pa.field("sketch", pa.list_(pa.int64(), SKETCH_SIZE)),
        pa.field("text_id", pa.int64()),
    ]
)
FIRST, SECOND = [101, 102, 103, 104, 105, 106], [201, 202, 203, 204, 205, 206]


def fresh(rng: np.random.Generator, count: int) -> list[int]:
    """Fingerprints that nothing else has."""
    return [int(n) for n in rng.integers(10**6, 10**15, count)]


def filled(skeleton: list[int], rng: np.random.Generator, times: int) -> list[Sketch]:
    """A skeleton with another slot filling each time."""
    return [skeleton + fresh(rng, 8) for _ in range(times)]


def signals(sketches: list[Sketch], owners: int = 3) -> pa.RecordBatch:
    """A batch of signals; two prompts are the same text when their sketches are equal."""
    rows = [
        {
            "exchange_id": f"e{i}",
            "account_id": f"a{i % owners}",
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "model": "m",
            "sketch": None if sketch is None else (sketch + [0] * SKETCH_SIZE)[:SKETCH_SIZE],
            "text_id": hash(tuple(sketch or [])),
        }
        for i, sketch in enumerate(sketches)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SIGNALS)


def templated(sketches: list[Sketch], batches: int = 1) -> pa.RecordBatch:
    """Mine the templates of the prompts and assign them, with signatures counted batch by batch."""
    batch = signals(sketches)
    table = ibis.memtable(pa.Table.from_batches([batch]))
    counted = fingerprint_counts(table).to_pyarrow().sort_by("fingerprint")
    fingerprints = np.asarray(counted["fingerprint"], dtype=np.int64)
    size = -(-batch.num_rows // batches)
    parts = [signature_batches(fingerprints)(batch.slice(i, size)) for i in range(0, batch.num_rows, size)]
    partial = ibis.memtable(pa.Table.from_batches(parts, schema=SIGNATURE_SCHEMA))
    found = skeletons(fingerprints, merged_signatures(partial).to_pyarrow())
    return templated_batches(found)(batch)


def template_ids(sketches: list[Sketch], batches: int = 1) -> list[int | None]:
    return templated(sketches, batches)["template_id"].to_pylist()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_two_skeletons_are_mined_apart(rng: np.random.Generator) -> None:
    found = template_ids(filled(FIRST, rng, 30) + filled(SECOND, rng, 20))
    assert len(set(found[:30])) == 1
    assert len(set(found[30:])) == 1
    assert found[0] != found[-1]
    assert None not in found


def test_every_other_slot_filling_is_another_item_and_the_same_text_the_same_item(rng: np.random.Generator) -> None:
    sketches = filled(FIRST, rng, 30)
    items = templated([*sketches, sketches[0]])["item_id"].to_pylist()
    assert len(set(items)) == 30
    assert items[0] == items[-1]


def test_prompts_with_no_wording_in_common_bear_no_template(rng: np.random.Generator) -> None:
    noise: list[Sketch] = [fresh(rng, SKETCH_SIZE) for _ in range(200)]
    found = template_ids(filled(FIRST, rng, 20) + noise)
    assert set(found[20:]) == {None}


def test_prompts_that_share_a_common_phrase_only_do_not_merge_two_skeletons(rng: np.random.Generator) -> None:
    phrase = [7, 8]
    found = template_ids(filled(FIRST + phrase, rng, 40) + filled(SECOND + phrase, rng, 40) + filled(phrase, rng, 80))
    assert len(set(found[:40])) == len(set(found[40:80])) == 1
    assert found[0] != found[40]


def test_a_skeleton_seen_too_seldom_is_no_template(rng: np.random.Generator) -> None:
    assert set(template_ids(filled(FIRST, rng, MIN_EXCHANGES - 1) + filled(SECOND, rng, 20))[:4]) == {None}


def test_an_item_repeated_inside_a_skeleton_resolves_to_the_skeleton(rng: np.random.Generator) -> None:
    item = fresh(rng, 8)
    repeated: list[Sketch] = [FIRST + item for _ in range(10)]
    found = template_ids(filled(FIRST, rng, 60) + repeated)
    assert len(set(found)) == 1


def test_prompts_without_a_sketch_bear_no_template(rng: np.random.Generator) -> None:
    found = template_ids([*filled(FIRST, rng, 20), None, []])
    assert found[-2:] == [None, None]


def test_template_ids_depend_neither_on_the_order_nor_on_the_batches(rng: np.random.Generator) -> None:
    sketches = filled(FIRST, rng, 30) + filled(SECOND, rng, 30)
    order = [int(i) for i in rng.permutation(len(sketches))]
    found, mixed = template_ids(sketches), template_ids([sketches[i] for i in order], batches=7)
    assert [found[i] for i in order] == mixed


def test_a_template_keeps_its_id_when_more_of_its_exchanges_arrive(rng: np.random.Generator) -> None:
    sketches = filled(FIRST, rng, 60)
    assert template_ids(sketches[:20])[0] == template_ids(sketches)[0]


def test_no_prompts_at_all_give_no_template() -> None:
    assert template_ids([None, None]) == [None, None]


def test_the_assigned_table_has_the_published_columns(rng: np.random.Generator) -> None:
    found = templated(filled(FIRST, rng, 10))
    assert found.schema == TEMPLATED_SCHEMA
    assert found["exchange_id"].to_pylist() == [f"e{i}" for i in range(10)]


def test_only_templates_whose_slots_change_become_traits(rng: np.random.Generator) -> None:
    fixed: list[Sketch] = [[*SECOND, 301 + i % (MIN_ITEMS - 1)] for i in range(60)]
    batch = templated(filled(FIRST, rng, 30) + fixed)
    table = template_traits(ibis.memtable(pa.Table.from_batches([batch]))).to_pyarrow()
    rows = {(row["account_id"], row["value"]): row["exchanges"] for row in table.to_pylist()}
    changing = str(batch["template_id"].to_pylist()[0])
    assert rows == {(f"a{i}", changing): 10 for i in range(3)}
    assert set(table["kind"].to_pylist()) == {"template"}
