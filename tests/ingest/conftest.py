"""A key and a reader for the tests of ingest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.ingest import Key, exchanges
from stillwatch.records import EXCHANGES, REJECTED, arrow_schema

Read = Callable[..., tuple[list[dict[str, Any]], list[dict[str, Any]]]]


@pytest.fixture
def key() -> Key:
    return Key(b"a key of the tests, 32 bytes long")


@pytest.fixture
def read(key: Key, tmp_path: Path) -> Read:
    """Read content (or a path) as exchanges and rejected rows, and check what holds for every batch."""

    def _read(content: bytes | str | Path, name: str = "log", **options: Any) -> tuple[list[Any], list[Any]]:
        path = content if isinstance(content, Path) else tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        if isinstance(content, bytes):
            path.write_bytes(content)
        rows: list[Any] = []
        rejected: list[Any] = []
        for batch in exchanges([path], key=key, **options):
            assert batch.exchanges.schema == arrow_schema(EXCHANGES)
            assert batch.rejected.schema == arrow_schema(REJECTED)
            batch.exchanges.validate(full=True)
            assert 0 <= batch.bytes_read <= batch.file_bytes == path.stat().st_size
            rows += batch.exchanges.to_pylist()
            rejected += batch.rejected.to_pylist()
        return rows, rejected

    return _read


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write columns to a Parquet file."""
    import pyarrow.parquet as pq

    def _write(columns: dict[str, Any], name: str = "log.parquet", **options: Any) -> Path:
        pq.write_table(pa.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return _write
