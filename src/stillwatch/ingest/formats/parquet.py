"""Parquet in our own columns, or in any names with a field map: row groups side by side, only the columns needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.ingest.cells import RawColumn, strings
from stillwatch.ingest.readers import MAX_ROWS, MAX_TEXT_BYTES, Format, Part, Raw, Rejection, Source

# Below this many stored bytes per row, values repeat: a dictionary of long texts may stand behind few bytes.
_REPETITIVE_BYTES = 256
_SLICE_BYTES = 16 * 2**20  # stored bytes decoded at once
_FITTING_BYTES = 64 * 2**20  # of a row group, decompressed, that threads read as a whole
_BUFFER_BYTES = 1 << 20  # without it a whole column of a row group is held, compressed


def _read(source: Source) -> Iterator[Raw]:
    for part in _parts(source):
        for raw in part.slices():
            yield raw
            if raw.is_last:
                return


def _parts(source: Source) -> Iterator[Part]:
    """The row groups."""
    try:
        with pq.ParquetFile(source.path) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        yield Part(partial(iter, [_corrupt(None, error)]), fits_memory=True)
        return
    names = wanted_columns(schema, source)
    if problem := source.missing(names):
        yield Part(partial(iter, [_unreadable(None, problem)]), fits_memory=True)
        return
    before = 0
    for number in range(metadata.num_row_groups):
        group = _Group(source, metadata, number, before, names)
        yield Part(group.slices, fits_memory=group.stored_bytes <= _FITTING_BYTES)
        before += metadata.row_group(number).num_rows


@dataclass(frozen=True, slots=True)
class _Group:
    """One row group of a file, the rows of the groups before it, and our columns with the paths of theirs."""

    source: Source
    metadata: pq.FileMetaData
    number: int
    before: int
    names: Mapping[str, str]

    @property
    def stored_bytes(self) -> int:
        """Size of the row group once it is decompressed, its dictionaries not written out."""
        return int(self.metadata.row_group(self.number).total_byte_size)

    def slices(self) -> Iterator[Raw]:
        """The rows, a slice at a time: only the needed columns, until one has no id of its own and all are read."""
        needed = {ours: theirs for ours, theirs in self.names.items() if ours in self.source.needed}
        done = 0
        try:
            if "exchange_id" in needed and len(needed) < len(self.names):
                for raw in self._read(needed, 0):
                    if not _has_every_id(raw):
                        break
                    yield raw
                    done += len(raw.lines)
                else:
                    return
            for raw in self._read(self.names, done):
                yield raw
                done += len(raw.lines)
        except (pa.ArrowException, OSError) as error:
            yield _corrupt(self.before + done + 1 if self.before + done else None, error)

    def _read(self, names: Mapping[str, str], first: int) -> Iterator[Raw]:
        """The slices with these columns, from row `first` on."""
        size, total = self.source.path.stat().st_size, max(1, self.metadata.num_rows)
        done = 0
        for batch in _batches(self.source.path, self.metadata, self.number, sorted(set(names.values()))):
            rest = batch.slice(max(0, first - done))
            done += len(batch) - len(rest)
            for piece in _pieces(rest):
                done += len(piece)
                yield _raw(piece, names, self.before + done, size * (self.before + done) // total)


def _has_every_id(raw: Raw) -> bool:
    ids = raw.columns["exchange_id"]
    if isinstance(ids, pa.DictionaryArray):
        return ids.null_count == 0 and strings(ids.dictionary).null_count == 0
    return strings(ids).null_count == 0


def _corrupt(row: int | None, error: Exception) -> Raw:
    reason = f"the Parquet file is corrupt or was not written to its end ({type(error).__name__})"
    return replace(_unreadable(row, reason), is_last=True)


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


def _batches(path: Path, metadata: pq.FileMetaData, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """One row group in slices; texts that repeat stay dictionaries so that they cannot swell memory.

    Those stored without a dictionary cannot, and making one, as of ids, costs more than reading them.
    """
    described = metadata.row_group(group)
    chunks = [described.column(index) for index in range(metadata.num_columns)]
    rows = max(1, described.num_rows)
    wanted = [c for c in chunks if c.path_in_schema in columns or c.path_in_schema.partition(".")[0] in columns]
    texts = [c for c in wanted if c.physical_type == "BYTE_ARRAY" and c.path_in_schema in columns]
    repeated = [c for c in texts if c.has_dictionary_page]
    repetitive = [c.path_in_schema for c in repeated if c.total_uncompressed_size < _REPETITIVE_BYTES * rows]
    per_row = max(1, sum(c.total_uncompressed_size for c in wanted) // rows)
    size = max(1, min(MAX_ROWS, _SLICE_BYTES // per_row))
    options = {"metadata": metadata, "buffer_size": _BUFFER_BYTES, "read_dictionary": repetitive}
    with pq.ParquetFile(path, **options) as reader:
        yield from reader.iter_batches(batch_size=size, row_groups=[group], columns=columns, use_threads=False)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch cut so that no piece holds more text than the bound, once its dictionaries are written out."""
    if sum(_most_bytes(column) for column in batch.columns) <= MAX_TEXT_BYTES:
        yield batch
        return
    sizes = [size for size in (_row_bytes(column) for column in batch.columns) if size is not None]
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


def _most_bytes(column: pa.Array) -> int:
    """No fewer bytes than the text of a column has, without looking at its rows."""
    if pa.types.is_dictionary(column.type):
        sizes = _row_bytes(column.dictionary)
        return len(column) * (pc.max(sizes).as_py() or 0) if sizes is not None else 0
    return column.nbytes if _row_bytes(column[:0]) is not None else 0


def _row_bytes(column: pa.Array) -> pa.Array | None:
    """Bytes of text in each row of a column; null when it holds none."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        sizes = _row_bytes(column.dictionary)
        return None if sizes is None else pc.fill_null(sizes.take(column.indices), 0)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pc.fill_null(pc.binary_length(column).cast(pa.int64()), 0)
    return None


def _raw(batch: pa.RecordBatch, names: Mapping[str, str], done: int, bytes_read: int) -> Raw:
    columns: dict[str, RawColumn] = {ours: column_at(batch, theirs) for ours, theirs in names.items()}
    return Raw(columns, pa.array(np.arange(done - len(batch) + 1, done + 1)), bytes_read=bytes_read)


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
    parts=_parts,
)
