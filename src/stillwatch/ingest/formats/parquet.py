"""Parquet in our own columns, or in any names with a field map; read a slice at a time, only the columns needed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.ingest.cells import RawColumn
from stillwatch.ingest.readers import MAX_ROWS, MAX_TEXT_BYTES, Format, Raw, Rejection, Source

# Below this many stored bytes per row, values repeat: a dictionary of long texts may stand behind few bytes.
_REPETITIVE_BYTES = 256
_SLICE_BYTES = 16 * 2**20  # stored bytes decoded at once
_BUFFER_BYTES = 1 << 20  # without it a whole column of a row group is held, compressed


def _read(source: Source) -> Iterator[Raw]:
    done, size = 0, source.path.stat().st_size
    try:
        with pq.ParquetFile(source.path) as file:
            names = wanted_columns(file.schema_arrow, source)
            problem = source.missing(names)
            if problem:
                yield _unreadable(None, problem)
                return
            for group in range(file.num_row_groups):
                for batch in _batches(source.path, file, group, sorted(set(names.values()))):
                    for piece in _pieces(batch):
                        done += len(piece)
                        source.position.bytes_read = size * done // max(1, file.metadata.num_rows)
                        yield _raw(piece, names, done)
    except (pa.ArrowException, OSError) as error:
        reason = f"the Parquet file is corrupt or was not written to its end ({type(error).__name__})"
        yield _unreadable(done + 1 if done else None, reason)


def wanted_columns(schema: pa.Schema, source: Source) -> dict[str, str]:
    """Our column and the dotted path of theirs, for every column the file has."""
    mapped = source.names.columns
    named = {ours: theirs for ours, theirs in mapped.items() if _has(schema, theirs)}
    return {**{name: name for name in source.columns if name in schema.names and name not in mapped}, **named}


def _has(schema: pa.Schema, name: str) -> bool:
    fields = {field.name: field.type for field in schema}
    if name in fields:
        return True
    head, _, rest = name.partition(".")
    return head in fields and pa.types.is_struct(fields[head]) and _has(pa.schema(list(fields[head])), rest)


def _batches(path: Path, file: pq.ParquetFile, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """One row group in slices; texts that repeat stay dictionaries so that they cannot swell memory."""
    chunks = [file.metadata.row_group(group).column(index) for index in range(file.metadata.num_columns)]
    rows = max(1, file.metadata.row_group(group).num_rows)
    stored = {c.path_in_schema: c.total_uncompressed_size for c in chunks if c.path_in_schema in columns}
    texts = [c.path_in_schema for c in chunks if c.path_in_schema in columns and c.physical_type == "BYTE_ARRAY"]
    repetitive = [name for name in texts if stored[name] < _REPETITIVE_BYTES * rows]
    per_row = max(1, sum(stored.values()) // rows)
    size = max(1, min(MAX_ROWS, _SLICE_BYTES // per_row))
    options = {"metadata": file.metadata, "buffer_size": _BUFFER_BYTES}
    with pq.ParquetFile(path, read_dictionary=repetitive, **options) as reader:
        yield from reader.iter_batches(batch_size=size, row_groups=[group], columns=columns)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch cut so that no piece holds more text than the bound, once its dictionaries are written out."""
    sizes = [size for size in (_row_bytes(column) for column in batch.columns) if size is not None]
    if not sizes or not len(batch):
        yield batch
        return
    total = sizes[0]
    for size in sizes[1:]:
        total = pc.add(total, size)
    ends = pc.cumulative_sum(total).to_numpy(zero_copy_only=False)
    start = 0
    while start < len(batch):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(ends.searchsorted(before + MAX_TEXT_BYTES, side="right")))
        yield batch.slice(start, stop - start)
        start = stop


def _row_bytes(column: pa.Array) -> pa.Array | None:
    """Bytes of text in each row of a column; null when it holds none."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        sizes = _row_bytes(column.dictionary)
        return None if sizes is None else pc.fill_null(sizes.take(column.indices), 0)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pc.fill_null(pc.binary_length(column).cast(pa.int64()), 0)
    return None


def _raw(batch: pa.RecordBatch, names: Mapping[str, str], done: int) -> Raw:
    columns: dict[str, RawColumn] = {ours: column_at(batch, theirs) for ours, theirs in names.items()}
    return Raw(columns, pa.array(np.arange(done - len(batch) + 1, done + 1)))


def _unreadable(row: int | None, reason: str) -> Raw:
    return Raw({}, pa.array([], pa.int64()), (Rejection(row, reason),))


def column_at(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column at a dotted path."""
    if name in batch.schema.names:
        return batch.column(name)
    head, *rest = name.split(".")
    return pc.struct_field(batch.column(head), rest)


FORMAT = Format(
    name="parquet",
    account_field="account_id",
    clock="started_at",
    recognises=lambda _: False,  # told by its magic bytes, before any text is read
    read=_read,
)
