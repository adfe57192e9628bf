"""What an engine owes, held over both: read, memory, write and map_batches mean the same. Then what a cluster owes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.engines.conftest import SPARK_MARKS

from stillwatch.campaigns.sizes import Sizes, sizes_by
from stillwatch.engines.base import Engine
from stillwatch.errors import InputError
from stillwatch.linkage import Templated, template_traits


def on_spark(test: Any) -> Any:
    """A test of what only a cluster owes."""
    for mark in SPARK_MARKS:
        test = mark(test)
    return test


NUMBERS = pa.table({"n": range(1_000)})
SQUARES = pa.schema([("square", pa.int64())])
EVERY_TYPE = pa.table(
    {
        "whole": pa.array([1, None, -(2**62)], pa.int64()),
        "small": pa.array([1, None, -3], pa.int32()),
        "text": pa.array(["a", None, "\u4e2d\U0001f600\x1f"]),
        "flag": pa.array([True, None, False]),
        "real": pa.array([0.1, None, -2.5]),
        "at": pa.array([datetime(2026, 3, 2, 1, 2, 3, 4, UTC), None, datetime(1999, 1, 1, tzinfo=UTC)]),
        "texts": pa.array([["x", "y"], None, []], pa.list_(pa.string())),
        "numbers": pa.array([[1, -2], None, [3]], pa.list_(pa.int64())),
        "fixed": pa.array([[1, -2], None, [3, 127]], pa.list_(pa.int8(), 2)),
    }
)


def squared(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch([pa.array([n.as_py() ** 2 for n in batch["n"]], pa.int64())], schema=SQUARES)


def failing(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise ValueError("planted")


def total(table: ibis.Table, column: str) -> int:
    return int(table[column].sum().to_pyarrow().as_py())


def test_a_table_of_every_type_comes_back_as_it_went(engine: Engine, tmp_path: Path) -> None:
    written = engine.write(engine.memory(EVERY_TYPE), tmp_path / "types.parquet").to_pyarrow()
    rows = sorted(EVERY_TYPE.to_pylist(), key=str)
    assert sorted(written.to_pylist(), key=str) == rows
    assert written.schema.field("at").type == pa.timestamp("us", tz="UTC")


def test_a_parquet_file_that_somebody_else_wrote_is_read(engine: Engine, tmp_path: Path) -> None:
    pq.write_table(EVERY_TYPE, tmp_path / "a [1] b%20c.parquet")
    found = engine.read(tmp_path / "a [1] b%20c.parquet").to_pyarrow()
    assert sorted(found.to_pylist(), key=str) == sorted(EVERY_TYPE.to_pylist(), key=str)


def test_sizes_of_requests_are_counted_alike(engine: Engine) -> None:
    sent = {"account_id": ["a", "b", "b", "c", "a"], "model": ["m"] * 5, "input_tokens": [10, 10, 11, 10, None]}
    members = pa.table({"account_id": ["a", "b"], "cluster_id": [4, 4]})
    assert sizes_by(engine.memory(pa.table(sent)), engine.memory(members)) == {4: Sizes(exchanges=3, same=2, next=2)}


def test_templates_are_traits_where_they_recur_or_gather_ever_new_texts(engine: Engine) -> None:
    """Template 1 recurs word for word; 2 gathers four texts of each account, 3 one; nothing says so of 4.

    Three texts of 2 are in one setting, 7, and one of each account in another, 8.
    """
    texts = {1: 1, 2: 4, 3: 1, 4: 4}
    sent = [(name, template, text) for name in "ab" for template, n in texts.items() for text in range(n)]
    rows = [
        {
            "account_id": name,
            "template_id": template,
            "setting_id": (7 if text < 3 else 8) if template == 2 else None,
            "item_id": text,
            "started_at": datetime(2026, 3, 1 + text, tzinfo=UTC),
        }
        for name, template, text in [*sent, ("a", None, 1)]
    ]
    known = [engine.memory(pa.table({"template_id": pa.array(ids, pa.int64())})) for ids in ([1, 9], [2, 3])]
    found = template_traits(Templated(engine.memory(pa.Table.from_pylist(rows)), *known)).to_pyarrow().to_pylist()
    told = sorted((r["account_id"], r["kind"], r["value"], r["exchanges"], r["last_seen_at"].day) for r in found)
    each = (("rewording", "2", 4, 4), ("setting", "2:7", 3, 3), ("template", "1", 1, 1))
    assert told == [(name, *rest) for name in "ab" for rest in each]


def test_writing_replaces_what_stood_there_and_expressions_see_one_state(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    engine.write(engine.memory(NUMBERS), path)
    again = engine.write(engine.memory(NUMBERS.slice(0, 10)), path)
    assert total(again, "n") == total(engine.read(path), "n") == 45


def test_batches_and_tables_are_mapped_alike(engine: Engine, tmp_path: Path) -> None:
    of_batches = engine.map_batches(NUMBERS.to_batches(max_chunksize=300), squared, SQUARES, tmp_path / "batches")
    of_table = engine.map_batches(engine.memory(NUMBERS), squared, SQUARES, tmp_path / "table")
    assert total(of_batches, "square") == total(of_table, "square") == sum(n * n for n in range(1_000))
    assert of_table.to_pyarrow().schema == SQUARES


def test_no_batches_leave_an_empty_table_with_its_columns(engine: Engine, tmp_path: Path) -> None:
    mapped = engine.map_batches([], squared, NUMBERS.schema, tmp_path / "mapped")
    assert mapped.to_pyarrow() == NUMBERS.schema.empty_table()


def test_a_task_that_fails_leaves_the_old_table(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    engine.map_batches(engine.memory(NUMBERS), squared, SQUARES, path)
    with pytest.raises(Exception, match="planted"):
        engine.map_batches(engine.memory(NUMBERS), failing, SQUARES, path)
    assert engine.read(path).count().to_pyarrow().as_py() == 1_000


@on_spark
def test_logs_that_are_not_there_are_an_error_that_names_them(spark: Any) -> None:
    with pytest.raises(InputError, match="nowhere"):
        spark.parquet(["file:///nowhere/at/all"])


@on_spark
def test_what_a_function_holds_is_in_no_file_where_tables_live(spark: Any, tmp_path: Path) -> None:
    secret = "a key that must stay in memory: " * 2

    def function(batches: Any) -> Any:
        for batch in batches:
            yield pa.record_batch([pa.array([len(secret) + n.as_py() for n in batch["n"]])], names=["n"])

    rows = pa.table({"n": [1, 2, 3]})
    path = tmp_path / "mapped"
    made = spark.map_rows(rows, function, rows.schema, path, lambda *_: None)
    assert sorted(made.to_pyarrow()["n"].to_pylist()) == [65, 66, 67]
    folder = Path(spark._folder.removeprefix("file://"))
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if secret.encode() in file.read_bytes()]


@on_spark
def test_tasks_send_to_the_driver_beside_their_rows(spark: Any, tmp_path: Path) -> None:
    mail = spark.mailbox(frozenset(), frozenset.union)

    def function(batches: Any) -> Any:
        for batch in batches:
            mail.add(frozenset(batch["n"].to_pylist()))
            yield batch

    rows = pa.table({"n": [1, 2, 3]})
    spark.map_rows(rows, function, rows.schema, tmp_path / "sent", lambda *_: None)
    assert mail.value == {1, 2, 3}
