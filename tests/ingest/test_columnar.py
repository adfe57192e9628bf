"""Parquet read in columns: dictionaries kept, row groups side by side, and nothing different from row by row."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.ingest import Key, exchanges
from stillwatch.records import EXCHANGES, TIMESTAMP, arrow_schema

FULL = arrow_schema(EXCHANGES)
NARROW = ("exchange_id", "started_at", "account_id", "model", "client_ip", "client_ip_prefix", "prompt", "session_id",
          "output_tokens", "reasoning_issued")  # fmt: skip
SECOND = 1_772_452_800_000_000  # [us]
Columns = dict[str, Any]
Write = Callable[..., Path]


def encoded(names: tuple[str, ...] = NARROW) -> pa.Schema:
    fields = [FULL.field(name) for name in names]
    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(texts) if field.type == pa.string() else field for field in fields])


def columns(rows: int = 500, **changes: list[Any]) -> Columns:
    random_ = random.Random(rows)
    made = {
        "exchange_id": [f"req_{i:08x}" for i in range(rows)],
        "started_at": pa.array([SECOND + i for i in range(rows)], TIMESTAMP),
        "account_id": [f"a{i % 7}" for i in range(rows)],
        "model": [f"m{i % 2}" for i in range(rows)],
        "client_ip": [f"203.0.{random_.randrange(3)}.{random_.randrange(99)}" for _ in range(rows)],
        "prompt": [f"{'word ' * 80}{i}" for i in range(rows)],
        "completion": [f"answer {i}" for i in range(rows)],
        "session_id": [None if i % 3 else f"s{i % 11}" for i in range(rows)],
        "output_tokens": pa.array(range(rows), pa.int64()),
        "reasoning_issued": pa.array([[f"r{i}"] if i % 2 else None for i in range(rows)], pa.list_(pa.string())),
    }
    return {**made, **changes}


def rows_of(path: Path, key: Key, **options: Any) -> tuple[list[Any], list[Any]]:
    batches = list(exchanges([path], key=key, **options))
    for batch in batches:
        batch.exchanges.validate(full=True)
        assert batch.exchanges.schema == options.get("schema", FULL)
    rows = [row for batch in batches for row in batch.exchanges.to_pylist()]
    return rows, [row for batch in batches for row in batch.rejected.to_pylist()]


def narrowed(rows: list[Any]) -> list[Any]:
    return [{name: row[name] for name in NARROW} for row in rows]


ODD: dict[str, Columns] = {
    "as we write it": {},
    "an id is missing in the middle": {"exchange_id": [None if i == 300 else f"e{i}" for i in range(500)]},
    "an id is empty": {"exchange_id": ["" if i == 499 else f"e{i}" for i in range(500)]},
    "no account": {"account_id": [None if i == 3 else "" if i == 4 else "a" for i in range(500)]},
    "no time": {"started_at": pa.array([None if i == 5 else SECOND for i in range(500)], TIMESTAMP)},
    "a time out of range": {"started_at": pa.array([0 if i == 6 else SECOND for i in range(500)], TIMESTAMP)},
    "another unit of time": {"started_at": pa.array([1_772_452_800_000 + i for i in range(500)], pa.timestamp("ms"))},
    "a negative count": {"output_tokens": pa.array([-1 if i == 7 else i for i in range(500)], pa.int64())},
    "a count as text": {"output_tokens": ["12" for _ in range(500)]},
    "an empty text": {"session_id": ["" if i == 8 else "s" for i in range(500)]},
    "no model": {"model": [None if i == 9 else "m" for i in range(500)]},
    "an empty list": {"reasoning_issued": [[] if i == 10 else ["", "r", None] for i in range(500)]},
    "odd addresses": {"client_ip": [["-", "::1", "1.2.3.4:5", "x", None][i % 5] for i in range(500)]},
    "prefixes are given": {"client_ip_prefix": [None if i % 2 else "198.51.100.0/24" for i in range(500)]},
}  # fmt: skip


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
@pytest.mark.parametrize("threads", [1, 3])
def test_few_columns_as_dictionaries_hold_what_all_columns_hold(
    changes: Columns, threads: int, parquet: Write, key: Key
) -> None:
    path = parquet(columns(**changes), row_group_size=120)
    rows, rejected = rows_of(path, key)
    assert rows_of(path, key, schema=encoded(), threads=threads) == (narrowed(rows), rejected)


@pytest.mark.parametrize("name", ["exchange_id", "completion", "client_ip"])
def test_a_file_without_a_column_is_read_alike(name: str, parquet: Write, key: Key) -> None:
    path = parquet({n: values for n, values in columns().items() if n != name}, row_group_size=200)
    rows, rejected = rows_of(path, key)
    assert len({row["exchange_id"] for row in rows}) == 500
    assert rows_of(path, key, schema=encoded(), threads=2) == (narrowed(rows), rejected)


def test_text_that_is_no_utf8_is_mended_in_a_dictionary_too(parquet: Write, key: Key) -> None:
    raw = pa.array([b"ok", b"\xff\xfe"] * 250)
    claimed = pa.Array.from_buffers(pa.string(), 500, raw.buffers())
    rows, _ = rows_of(parquet(columns(session_id=claimed)), key, schema=encoded())
    assert {row["session_id"] for row in rows} == {"ok", "\ufffd\ufffd"}


def test_threads_give_the_same_batches_in_the_same_order(tmp_path: Path, parquet: Write, key: Key) -> None:
    files = [parquet(columns(100 * n), f"{n}.parquet", row_group_size=70) for n in (3, 1, 5)]
    (tmp_path / "lines.jsonl").write_text('{"account_id": "a", "started_at": 1772452800}\n{}\n')
    files.insert(1, tmp_path / "lines.jsonl")
    one, many = (list(exchanges(files, key=key, threads=threads)) for threads in (1, 4))
    assert one == many
    assert [batch.file for batch in one] == sorted((b.file for b in one), key=[str(f) for f in files].index)


@pytest.mark.parametrize("threads", [1, 4])
def test_nothing_after_a_damaged_page_is_taken(threads: int, parquet: Write, key: Key) -> None:
    path = parquet(columns(4_000), row_group_size=500, compression="snappy")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = random.Random(2).randbytes(20_000)
    path.write_bytes(content)
    rows, rejected = rows_of(path, key, schema=encoded(), threads=threads)
    assert 0 < len(rows) < 4_000
    assert [row["exchange_id"] for row in rows] == columns(4_000)["exchange_id"][: len(rows)]
    assert [(row["line"], row["reason"][:27]) for row in rejected] == [(len(rows) + 1, "the Parquet file is corrupt")]


def test_reading_may_stop_early(parquet: Write, key: Key) -> None:
    batches = exchanges([parquet(columns(), row_group_size=10)], key=key, threads=2)
    assert next(batches).exchanges.num_rows == 10
    batches.close()
