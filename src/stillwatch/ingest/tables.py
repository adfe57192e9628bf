"""Exchanges of tables that an engine read: converted as those of a file are, without a file being opened.

Why:    a cluster reads Parquet where it lies and hands over batches; what becomes of a row must not depend on that.
Misses: a damaged file is refused by the engine as a whole, where a file read here costs one row of `rejected`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.errors import InputError
from stillwatch.ingest.exchange_batches import Looked, exchange_batch, rejected_batch
from stillwatch.ingest.fieldmap import FieldMap, Names
from stillwatch.ingest.formats import parquet
from stillwatch.ingest.keys import Key
from stillwatch.ingest.readers import Raw, Source
from stillwatch.ingest.reading import converted


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Where our columns stand in a table: our name -> the path of theirs."""

    paths: Mapping[str, str]
    names: Names

    @property
    def read(self) -> list[str]:
        """The columns to read, each once: of a path into a structure, the structure."""
        return sorted({path.partition(".")[0] for path in self.paths.values()})


def table_columns(schema: pa.Schema, field_map: FieldMap | None = None) -> TableColumns:
    """Our columns in a table with that schema.

    Raises:
        InputError: the table has no account or no time.
    """
    source = Source(Path(), names=(field_map or FieldMap()).exchanges)
    paths = parquet.wanted_columns(schema, source)
    problem = source.missing(paths)
    if problem:
        raise InputError(f"the Parquet logs have {problem}")
    return TableColumns(paths, source.names)


def table_exchanges(
    batch: pa.RecordBatch, columns: TableColumns, *, key: Key, places: tuple[pa.Array, pa.Array]
) -> Iterator[tuple[str, pa.RecordBatch, pa.RecordBatch]]:
    """File, exchanges and rejected rows of a batch, whose rows stood at `places`: file, and row in it from 0."""
    theirs = columns.names.columns
    account, clock = (theirs.get(name, name) for name in ("account_id", "started_at"))
    looked = Looked(account, clock, columns.names.constants)
    file, row = places
    encoded = file.dictionary_encode()
    for number, name in enumerate(encoded.dictionary.to_pylist()):
        mine = pc.equal(encoded.indices, number) if len(encoded.dictionary) > 1 else None
        rows, lines = (batch, row) if mine is None else (batch.filter(mine), row.filter(mine))
        found = {ours: parquet.column_at(rows, path) for ours, path in columns.paths.items()}
        raw = Raw(found, pc.add(lines, 1))
        for exchanges, rejections in converted(raw, lambda part: exchange_batch(part, key, looked)):
            yield name, exchanges, rejected_batch(name, rejections)
