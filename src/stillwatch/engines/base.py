"""What an engine owes: read, write and map_batches. Everything else is Ibis and runs on all of them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
IbisTable = Any  # an Ibis table expression; its columns are resolved at run time, so no static type says more


class Engine(Protocol):
    """A place where tables live. Stages take Ibis tables and never learn which engine made them."""

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
