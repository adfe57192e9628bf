"""What an engine owes, held over the embedded engine: read, write, map_batches, and nothing from the network."""

import threading
from collections.abc import Iterator
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stillwatch.engines import embedded
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import EngineError

SCHEMA = pa.schema([pa.field("n", pa.int64())])
OTHER = pa.schema([pa.field("square", pa.int64())])
ROWS = 100_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path / "work", memory_limit="200MB", threads=4) as engine:
        yield engine


def batches(count: int = 40, size: int = 50) -> list[pa.RecordBatch]:
    return [pa.record_batch([pa.array(range(i * size, (i + 1) * size))], schema=SCHEMA) for i in range(count)]


def squared(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch([pc.multiply(batch["n"], batch["n"])], schema=OTHER)


def test_mapped_batches_keep_their_order_and_equal_a_plain_loop(engine: EmbeddedEngine, tmp_path: Path) -> None:
    """The first batch is held back until the last one that may overtake it has begun."""
    overtaken = threading.Event()

    def held(batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch["n"][0].as_py() == 0:
            assert overtaken.wait(60)
        if batch["n"][0].as_py() == 50 * 3:
            overtaken.set()
        return squared(batch)

    engine.map_batches(batches(), held, OTHER, tmp_path / "mapped")
    parts = sorted((tmp_path / "mapped").iterdir())
    found = pa.concat_tables([pq.read_table(part) for part in parts])["square"].to_pylist()
    assert found == [n * n for n in range(2_000)]


def test_a_table_of_the_engine_can_be_mapped_too(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = engine.write(ibis.memtable(pa.table({"n": range(ROWS)})), tmp_path / "n.parquet")
    mapped = engine.map_batches(table, squared, OTHER, tmp_path / "mapped")
    assert sorted(mapped.to_pyarrow()["square"].to_pylist()) == [n * n for n in range(ROWS)]


def test_large_results_are_split_into_parts_without_losing_a_row(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ROWS_PER_PART", 300)
    mapped = engine.map_batches(batches(), squared, OTHER, tmp_path / "mapped")
    assert len(list((tmp_path / "mapped").iterdir())) == 7
    assert mapped.count().to_pyarrow().as_py() == 2_000


def test_no_batches_leave_an_empty_table_with_its_columns(engine: EmbeddedEngine, tmp_path: Path) -> None:
    mapped = engine.map_batches([], squared, OTHER, tmp_path / "mapped")
    assert mapped.to_pyarrow().schema == OTHER
    assert mapped.count().to_pyarrow().as_py() == 0


def test_at_most_two_batches_a_thread_are_read_ahead(engine: EmbeddedEngine, tmp_path: Path) -> None:
    begun, ahead = 0, []

    def source() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches()):
            ahead.append(number - begun)
            yield batch

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        return squared(batch)

    for _ in engine._mapped(source(), counted):
        begun += 1
    assert max(ahead) <= 2 * 4


def failing(batch: pa.RecordBatch) -> pa.RecordBatch:
    if batch["n"][0].as_py() >= 500:
        raise ValueError("planted")
    return squared(batch)


def test_a_batch_that_fails_leaves_the_old_table(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.map_batches(batches(2), squared, OTHER, tmp_path / "mapped")
    with pytest.raises(ValueError, match="planted"):
        engine.map_batches(batches(), failing, OTHER, tmp_path / "mapped")
    assert engine.read(tmp_path / "mapped").count().to_pyarrow().as_py() == 100


def test_a_write_that_fails_leaves_the_old_table(engine: EmbeddedEngine, tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    table = engine.write(ibis.memtable(pa.table({"n": [1, 2]})), path)
    texts = engine.memory(pa.table({"n": ["3", "x"]}))
    with pytest.raises(Exception, match="Conversion Error"):
        engine.write(texts.mutate(n=texts.n.cast("int64")), path)
    assert engine.read(path).to_pyarrow()["n"].to_pylist() == [1, 2]
    assert table.count().to_pyarrow().as_py() == 2


def test_what_a_crashed_run_left_is_no_part_of_the_next_table(engine: EmbeddedEngine, tmp_path: Path) -> None:
    left = tmp_path / ".mapped.partial"
    left.mkdir()
    pq.write_table(pa.table({"square": [-1]}), left / "part-00009.parquet")
    mapped = engine.map_batches(batches(1), squared, OTHER, tmp_path / "mapped")
    assert mapped.filter(mapped.square < 0).count().to_pyarrow().as_py() == 0
    assert not left.exists()


def test_writing_replaces_whatever_stood_there(engine: EmbeddedEngine, tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    engine.write(ibis.memtable(pa.table({"n": [1, 2]})), path)
    assert engine.write(ibis.memtable(pa.table({"n": [3]})), path).to_pyarrow()["n"].to_pylist() == [3]
    for count in (5, 1):
        engine.map_batches(batches(count), squared, OTHER, tmp_path / "mapped")
    assert engine.read(tmp_path / "mapped").count().to_pyarrow().as_py() == 50


def numbers_to(root: int) -> ibis.Table:
    """The whole numbers below the square of `root`, made by the engine."""
    ones, thousands = (ibis.range(root).unnest().name(name).as_table() for name in ("low", "high"))
    return ones.cross_join(thousands).select(n=ibis._.high * root + ibis._.low)


def setting(engine: EmbeddedEngine, name: str) -> str:
    sql = f"SELECT value FROM duckdb_settings() WHERE name = '{name}'"  # noqa: S608 - our own words
    return str(engine._connection.raw_sql(sql).fetchone()[0])


def test_texts_may_come_as_dictionaries_that_differ_from_batch_to_batch(engine: EmbeddedEngine, tmp_path: Path) -> None:
    schema = pa.schema([pa.field("text", pa.dictionary(pa.int32(), pa.string())), pa.field("id", pa.string())])

    def named(batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = pa.array([None if n % 5 == 0 else f"t{n // 30}" for n in batch["n"].to_pylist()])
        return pa.RecordBatch.from_arrays([texts.dictionary_encode(), batch["n"].cast(pa.string())], schema=schema)

    table = engine.map_batches(batches(), named, schema, tmp_path / "named").to_pyarrow()
    assert table.schema.types == [pa.string(), pa.string()]
    assert sorted(zip(*table.to_pydict().values(), strict=True), key=lambda row: int(row[1])) == [
        (None if n % 5 == 0 else f"t{n // 30}", str(n)) for n in range(2_000)
    ]


@pytest.mark.parametrize(
    "name", ["autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions"]
)
def test_extensions_are_neither_installed_nor_loaded_by_themselves(name: str, engine: EmbeddedEngine) -> None:
    assert setting(engine, name) == "false"


def test_a_query_that_needs_the_network_fails_before_it_gets_there(engine: EmbeddedEngine) -> None:
    """The address is of this machine and nobody listens: a connection would be refused, an extension is missing."""
    with pytest.raises(Exception, match="requires the extension httpfs"):
        engine._connection.raw_sql("SELECT * FROM 'http://127.0.0.1:9/never.parquet'")


def test_tables_larger_than_the_limit_spill_into_the_work_folder_and_come_out_whole(tmp_path: Path) -> None:
    rows = 2_000 * 2_000
    with EmbeddedEngine(tmp_path / "work", memory_limit="100MB", threads=2) as engine:
        numbers = numbers_to(2_000)
        texts = numbers.mutate(
            key=(numbers.n * 2_654_435_761) % 4_294_967_291, text=numbers.n.cast("string") + "-" * 20
        )
        ordered = engine.write(texts.order_by("key"), tmp_path / "ordered.parquet")
        assert ordered.count().to_pyarrow().as_py() == rows
        assert ordered.n.sum().to_pyarrow().as_py() == rows * (rows - 1) // 2


def test_too_little_memory_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    numbers = numbers_to(1_500)
    ordered = numbers.mutate(key=numbers.n % 1_000_003).order_by("key")

    def run() -> None:
        with EmbeddedEngine(tmp_path / "work", memory_limit="2MB", threads=1) as engine:
            engine.write(ordered, tmp_path / "ordered.parquet")

    with pytest.raises(EngineError, match=r"--memory-limit 2MB is too little.*Raise it"):
        run()


def test_a_limit_that_is_no_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="memory limit 'plenty'"):
        EmbeddedEngine(tmp_path / "work", memory_limit="plenty")
