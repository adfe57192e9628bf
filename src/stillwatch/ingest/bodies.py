"""Exchanges that are sent instead of read from files: bodies of requests, by the readers of the file formats.

Arrow streams are taken with the column types that tables of logs have. What could swell when it is written out
(compressed buffers, nested types, views) is refused, because a sender is not an operator.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.errors import InputError
from stillwatch.ingest.exchange_batches import Looked, exchange_batch
from stillwatch.ingest.formats import parquet
from stillwatch.ingest.ipc import is_compressed
from stillwatch.ingest.keys import Key
from stillwatch.ingest.otlp_protobuf import log_slices, span_slices
from stillwatch.ingest.readers import MAX_ROWS, Raw, Rejection, Source, document_slices
from stillwatch.ingest.reading import converted
from stillwatch.ingest.sniffing import Unreadable, formats, only_format
from stillwatch.records import EXCHANGES

Sent = tuple[pa.RecordBatch, Sequence[Rejection], int]  # exchanges, rejections, how many of these nobody could parse
_LEAST_ROW_BYTES = 12  # of an account and a time


def sent_documents(content: bytes, format_name: str) -> Iterator[Raw]:
    """Raw slices of JSON documents, one per line or in an array, in one of the formats made of such."""
    rows = formats()[format_name].rows
    assert rows is not None, format_name  # noqa: S101 - a format without documents is a mistake of ours
    return document_slices(iter([content]), rows, _source())


def document_format(documents: Sequence[Mapping[str, Any]]) -> str | None:
    """The one format that recognises JSON documents; null when none does, or several alike."""
    try:
        return only_format(tuple(documents))
    except Unreadable:
        return None


def sent_faults(faults: Sequence[Rejection]) -> Raw:
    """A raw slice of nothing but what could not be read."""
    return Raw({}, pa.array([], pa.int64()), tuple(faults))


def sent_spans(content: bytes, needed: Collection[str]) -> Iterator[Raw]:
    """Raw slices of an ExportTraceServiceRequest, with at least the columns needed.

    Raises:
        InputError: it is not protobuf of that shape; says where.
    """
    return span_slices(content, _source(needed))


def sent_log_records(content: bytes, needed: Collection[str]) -> Iterator[Raw]:
    """Raw slices of an ExportLogsServiceRequest, with at least the columns needed.

    Raises:
        InputError: it is not protobuf of that shape; says where.
    """
    return log_slices(content, _source(needed))


def sent_arrow(content: bytes, max_bytes: int) -> Iterator[Raw]:
    """Raw slices of an Arrow IPC stream in our own columns; texts of at most so many bytes when written out.

    Raises:
        InputError: it is no such stream, or holds what could swell.
    """
    done = 0
    try:
        if is_compressed(content):
            raise InputError("the Arrow stream has compressed buffers: send it without compression, and gzip the body")
        with pa.ipc.open_stream(content) as reader:
            names = _columns(reader.schema)
            for batch in reader:
                _check(batch, list(names.values()), max_bytes, len(content))
                for start in range(0, batch.num_rows, MAX_ROWS):
                    part = batch.slice(start, MAX_ROWS)
                    columns = {ours: parquet.column_at(part, theirs) for ours, theirs in names.items()}
                    lines = pa.array(range(done + 1, done + 1 + part.num_rows), pa.int64())
                    yield Raw(columns, lines)
                    done += part.num_rows
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise InputError(f"not a whole Arrow IPC stream, after row {done} ({type(error).__name__})") from error


def sent_exchanges(
    slices: Iterator[Raw], format_name: str, *, key: Key, schema: pa.Schema, latest: datetime
) -> Iterator[Sent]:
    """The exchanges in the slices, as `reading.exchanges` has them of a file; none of a moment after `latest`."""
    found = formats()[format_name]
    looked = Looked(found.account_field, found.clock, {}, latest)
    for raw in slices:
        unparsed = len(raw.rejections)
        for rows, rejections in converted(raw, lambda part: exchange_batch(part, key, looked, schema)):
            yield rows, rejections, unparsed
            unparsed = 0


def _source(needed: Collection[str] = EXCHANGES.names) -> Source:
    return Source(Path(), needed=frozenset(needed))


def _columns(schema: pa.Schema) -> dict[str, str]:
    """Our column and the name of theirs.

    Raises:
        InputError: the account or the time is missing, or a column has a type that could swell.
    """
    source = _source()
    names = parquet.wanted_columns(schema, source)
    if problem := source.missing(names):
        raise InputError(f"the Arrow stream has {problem.partition(':')[0]}")
    for name in names.values():
        if not _is_plain(schema.field(name).type):
            raise InputError(
                f"column {name} is {schema.field(name).type}: send texts, numbers, times or lists of texts"
            )
    return names


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    if pa.types.is_list(kind):
        return _is_text(kind.value_type)
    is_simple = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp, pa.types.is_boolean)
    return _is_text(kind) or any(check(kind) for check in is_simple)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check(batch: pa.RecordBatch, names: Sequence[str], max_bytes: int, sent_bytes: int) -> None:
    """Refuse a batch that is damaged or holds more than its bytes can.

    Raises:
        InputError: it does.
    """
    if batch.num_rows * _LEAST_ROW_BYTES > sent_bytes:
        raise InputError(f"the Arrow stream claims {batch.num_rows} rows in {sent_bytes} bytes")
    batch.validate(full=True)
    for name in names:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            sizes = pc.binary_length(column.dictionary).take(column.indices)
            if (pc.sum(sizes.cast(pa.int64())).as_py() or 0) > max_bytes:
                raise InputError(f"the texts of column {name} are more than {max_bytes} bytes when written out")
