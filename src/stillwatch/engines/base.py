"""What an engine owes: read, write and map_batches. Everything else is Ibis and runs on all of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
StreamFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
Done = Callable[[int, int], None]  # tasks finished, tasks in all
IbisTable = Any  # an Ibis table expression; its columns are resolved at run time, so no static type says more

FILE_COLUMN, ROW_COLUMN = "stillwatch_file", "stillwatch_row"  # where a row of a log that a cluster read stood


class Engine(Protocol):
    """A place where tables live. Stages take Ibis tables and never learn which engine made them.

    `threads_here` is how many threads may work on tables on this machine; 0 where their rows lie on other machines, too
    many to bring here.
    """

    threads_here: int

    def read(self, path: Path) -> IbisTable:
        """The Parquet dataset at `path` (a file, or a folder of parts) as an Ibis table."""

    def memory(self, table: pa.Table) -> IbisTable:
        """A small Arrow table as an Ibis table of this engine."""

    def write(self, table: IbisTable, path: Path) -> IbisTable:
        """Materialise at `path`, atomically and replacing what stood there; return it read back."""

    def map_batches(
        self, batches: Iterable[pa.RecordBatch] | IbisTable, function: BatchFunction, schema: pa.Schema, path: Path
    ) -> IbisTable:
        """Apply a pure function to every batch, in parallel, and materialise the result at `path`."""

    def close(self) -> None:
        """Release what the engine holds."""


class Mailbox(Protocol):
    """What tasks send to the driver beside their rows. It is merged in any order, and may arrive twice or never."""

    value: Any

    def add(self, term: Any) -> None:  # noqa: ANN401 - whatever its merge takes
        """Merge `term` in."""


@dataclass(frozen=True, slots=True)
class ParquetLogs:
    """Parquet files where a cluster finds them: as asked for, one by one, their columns merged over all, their rows.

    Addresses of single files are URIs, in which odd characters are escaped.
    """

    asked: Sequence[str]
    files: Sequence[str]
    columns: pa.Schema
    rows: int


class Cluster(Engine, Protocol):
    """An engine whose machines read the logs themselves, because no single one could."""

    def parquet(self, files: Sequence[str]) -> "ParquetLogs":
        """The Parquet logs that addresses of files, folders and globs stand for."""

    def map_parquet(
        self,
        logs: ParquetLogs,
        columns: Sequence[str],
        function: StreamFunction,
        schema: pa.Schema,
        path: Path,
        done: Done,
    ) -> IbisTable:
        """Apply a pure function to the rows of Parquet files, each with FILE_COLUMN and ROW_COLUMN (from 0)."""

    def map_rows(
        self, rows: pa.Table, function: StreamFunction, schema: pa.Schema, path: Path, done: Done
    ) -> IbisTable:
        """Apply a pure function to every row of a small table, each in a task of its own."""

    def mailbox(self, empty: Any, merged: Callable[[Any, Any], Any]) -> Mailbox:  # noqa: ANN401 - whatever is sent
        """A mailbox that begins with `empty`; functions given to this engine may hold it."""
