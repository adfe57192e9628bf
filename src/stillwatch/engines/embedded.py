"""The engine for one machine: DuckDB under Ibis for tables, a pool of threads for text kernels."""

import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers import DuckDBCompiler

from stillwatch.engines.base import BatchFunction, IbisTable
from stillwatch.errors import EngineError

ROWS_PER_PART = 4_000_000  # rows per Parquet file of a mapped table: few files, and no file too large to move
READ_ROWS = 65_536  # rows per batch handed to a kernel: large enough to amortise the call, small enough to cache


class _Compiler(DuckDBCompiler):
    """As Ibis has it, but seconds since 1970 are read off a zoned time: Ibis asks the calendar of the zone first."""

    def visit_ExtractEpochSeconds(self, op: Any, *, arg: Any) -> Any:  # noqa: ANN401, N802 - as Ibis calls it
        """Whole seconds; before 1970 they are cut off towards it."""
        return self.f.anon.epoch_us(arg) // 1_000_000


class EmbeddedEngine:
    """DuckDB in this process; spills to `folder` when a query outgrows `memory_limit`.

    The limit bounds tables, not this process: text being read, kernels and linkage come on top.
    Extensions are never installed or loaded from the network, and no file outside what a query names is read.
    As a context it closes itself, and failures of DuckDB inside it leave as `EngineError`.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "4GB", threads: int | None = None) -> None:
        """Open an in-memory database that spills to `folder`.

        Raises:
            EngineError: the memory limit cannot be read, or the folder cannot be made.
        """
        self.threads_here = threads or os.cpu_count() or 1
        self._memory_limit = memory_limit
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "memory_limit": memory_limit,
            "threads": self.threads_here,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "preserve_insertion_order": False,
        }
        try:
            self._connection = ibis.duckdb.connect(**config)
        except Exception as error:
            message = (
                f"DuckDB did not start with memory limit {memory_limit!r}: {error}. Write it as in '4GB' or '800MB'."
            )
            raise EngineError(message) from error
        self._connection.compiler = _Compiler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if isinstance(error, duckdb.OutOfMemoryException):
            message = (
                f"--memory-limit {self._memory_limit} is too little for this input: even spilling needs more. Raise it."
            )
            raise EngineError(message) from error
        if isinstance(error, duckdb.IOException):
            message = f"DuckDB could not read or write its files: {str(error).splitlines()[0]}. Check disk and folder."
            raise EngineError(message) from error

    def read(self, path: Path) -> IbisTable:
        """The Parquet dataset at `path` (a file, or a folder of parts) as an Ibis table."""
        source = path / "*.parquet" if path.is_dir() else path
        return self._connection.read_parquet(str(source))

    def memory(self, table: pa.Table) -> IbisTable:
        """A small Arrow table as an Ibis table of this engine."""
        return ibis.memtable(table)

    def write(self, table: IbisTable, path: Path) -> IbisTable:
        """Materialise at `path`, atomically and replacing what stood there; return it read back."""
        partial = _partial(path)
        self._connection.to_parquet(table, partial, compression="zstd")
        _replace(partial, path)
        return self.read(path)

    def map_batches(
        self, batches: Iterable[pa.RecordBatch] | IbisTable, function: BatchFunction, schema: pa.Schema, path: Path
    ) -> IbisTable:
        """Apply a pure function to every batch, in parallel and in order, and materialise the result at `path`."""
        source = batches.to_pyarrow_batches(chunk_size=READ_ROWS) if hasattr(batches, "to_pyarrow_batches") else batches
        partial = _partial(path)
        partial.mkdir(parents=True)
        _write_parts(self._mapped(source, function), schema, partial)
        _replace(partial, path)
        return self.read(path)

    def _mapped(self, batches: Iterable[pa.RecordBatch], function: BatchFunction) -> Iterator[pa.RecordBatch]:
        """Results in input order, with at most two batches per thread in flight."""
        pending: deque[Future[pa.RecordBatch]] = deque()
        with ThreadPoolExecutor(self.threads_here) as pool:
            for batch in batches:
                pending.append(pool.submit(function, batch))
                if len(pending) >= 2 * self.threads_here:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def close(self) -> None:
        """Close the database and remove what it spilled."""
        self._connection.disconnect()


def _write_parts(batches: Iterator[pa.RecordBatch], schema: pa.Schema, folder: Path) -> None:
    """Write numbered Parquet files; an empty input still leaves one, so that the schema survives."""
    writer: pq.ParquetWriter | None = None
    part, rows = 0, 0
    try:
        for batch in batches:
            if writer is None or rows >= ROWS_PER_PART:
                if writer is not None:
                    writer.close()
                writer = _writer(folder / f"part-{part:05d}.parquet", schema)
                part, rows = part + 1, 0
            writer.write_table(
                pa.Table.from_batches([batch])
            )  # a row group each, whose dictionaries are kept as they are
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    if part == 0:
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer that looks for repeats only where it finds some, and keeps no statistics: rows come in any order.

    Repeats are in texts and in bytes; where the schema has dictionaries, only those texts have them. Zstandard costs
    hardly more than LZ4 and makes a fourth less of what it gets, but for bytes and vectors of them.
    """
    is_marked = any(pa.types.is_dictionary(kind) for kind in schema.types)
    repeated, codecs = [], {}
    for field in schema:
        is_list = pa.types.is_fixed_size_list(field.type) or pa.types.is_list(field.type)
        kind = field.type.value_type if is_list else field.type
        column = f"{field.name}.list.element" if is_list else field.name
        codecs[column] = "lz4" if pa.types.is_int8(kind) or pa.types.is_fixed_size_binary(kind) else "zstd"
        if pa.types.is_dictionary(kind) or pa.types.is_int8(kind) or (pa.types.is_string(kind) and not is_marked):
            repeated.append(column)
    return pq.ParquetWriter(path, schema, compression=codecs, use_dictionary=repeated or False, write_statistics=False)


def _partial(path: Path) -> Path:
    """A sibling to write to; whatever a crashed run left there is removed."""
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    path.parent.mkdir(parents=True, exist_ok=True)
    return partial


def _replace(partial: Path, path: Path) -> None:
    """Put the finished file or folder in place. A folder cannot replace a folder, so the old one goes first."""
    if path.is_dir():
        _remove(path)
    partial.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
