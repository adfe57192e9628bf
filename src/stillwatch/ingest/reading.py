"""Log files become batches of exchanges, one bounded batch at a time; what cannot be read is rejected with a reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from stillwatch.errors import SettingsError
from stillwatch.ingest.exchange_batches import Looked, exchange_batch, rejected_batch
from stillwatch.ingest.fieldmap import FieldMap, Names
from stillwatch.ingest.keys import Key
from stillwatch.ingest.readers import Format, Raw, Rejection, Source
from stillwatch.ingest.sniffing import MAPPED, Unreadable, check_not_binary, format_of, formats
from stillwatch.ingest.streams import BrokenStream
from stillwatch.records import EXCHANGES, arrow_schema

_NO_EXCHANGES = pa.RecordBatch.from_pylist([], schema=arrow_schema(EXCHANGES))
_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException)
Convert = Callable[[Raw], tuple[pa.RecordBatch, Sequence[Rejection]]]
OnFile = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """A bounded slice of one file: its exchanges, its rejected rows, and how far into the file we are."""

    file: str
    exchanges: pa.RecordBatch  # of EXCHANGES, with text, identifiers hashed
    rejected: pa.RecordBatch  # of REJECTED
    bytes_read: int  # of the file on disk, so far
    file_bytes: int  # size of the file on disk


def exchanges(
    files: Iterable[Path],
    *,
    key: Key,
    input_format: str | None = None,
    field_map: FieldMap | None = None,
    started_at: datetime | None = None,
    on_file: OnFile | None = None,
) -> Iterator[Batch]:
    """The exchanges of log files, in batches of at most 50,000 rows and 64 MB of text; every file yields at least one.

    `started_at` is when the requests of a log without a clock (batch files) were made. `on_file` is told each file
    and the name of its format.

    Raises:
        SettingsError: when there is no format of that name.
    """
    if input_format is not None and input_format not in formats():
        known = ", ".join(formats())
        raise SettingsError(f"--input-format {input_format}: there is no such format; the formats are: {known}")
    for file in files:
        names = (field_map or FieldMap()).exchanges
        source = Source(file, names=names, started_at=started_at)
        found, slices = raw_slices(source, input_format)
        if on_file:
            on_file(file, found.name if found else "empty or unreadable")
        yield from _batches(source, key, found, slices)


def raw_slices(
    source: Source, input_format: str | None = None, *, is_mapped: bool = False
) -> tuple[Format | None, Iterator[Raw]]:
    """The format of a file and its raw columns; no format when it is empty or unreadable, which the slice then says."""
    try:
        found = _format(source, input_format, is_mapped or bool(source.names.columns))
    except (BrokenStream, Unreadable) as problem:
        return None, iter([_unreadable(str(problem))])
    except OSError as error:
        return None, iter([_unreadable(f"cannot be read: {error.strerror}")])
    return (None, iter(())) if found is None else (found, _until_failure(found.read(source)))


def converted(raw: Raw, convert: Convert) -> list[tuple[pa.RecordBatch, Sequence[Rejection]]]:
    """The slice as a table. A row that no rule of ours foresaw is found by halving, so that it costs only itself."""
    try:
        return [convert(raw)]
    except _UNFORESEEN as error:
        if len(raw.lines) <= 1:
            reason = f"a value could not be converted ({type(error).__name__})"
            refused = [Rejection(line, reason) for line in raw.lines.to_pylist()]
            nothing = Raw({}, pa.array([], pa.int64()), (*raw.rejections, *refused))
            return [convert(nothing)]
    return [part for half in raw.halves() for part in converted(half, convert)]


def _batches(source: Source, key: Key, found: Format | None, slices: Iterator[Raw]) -> Iterator[Batch]:
    file = str(source.path)
    size = source.path.stat().st_size if source.path.exists() else 0
    looked = _looked(found, source.names)
    for raw in slices:
        for rows, rejections in converted(raw, lambda part: exchange_batch(part, key, looked)):
            yield Batch(file, rows, rejected_batch(file, rejections), source.position.bytes_read, size)
    yield Batch(file, _NO_EXCHANGES, rejected_batch(file, ()), size, size)


def _until_failure(slices: Iterator[Raw]) -> Iterator[Raw]:
    """The slices; when the file cannot be opened again, or not read to its end, a word about that."""
    try:
        yield from slices
    except OSError as error:
        yield _unreadable(f"cannot be read to its end: {error.strerror}")


def _looked(found: Format | None, names: Names) -> Looked:
    theirs = names.columns if found and found.name in MAPPED else {}
    account_field = theirs.get("account_id", found.account_field if found else "account_id")
    return Looked(account_field, theirs.get("started_at", found.clock if found else "started_at"), names.constants)


def _format(source: Source, input_format: str | None, is_mapped: bool) -> Format | None:
    if input_format is None:
        return format_of(source.path, is_mapped=is_mapped)
    if input_format != "parquet" and not check_not_binary(source.path):
        return None
    return formats()[input_format]


def _unreadable(reason: str) -> Raw:
    return Raw({}, pa.array([], pa.int64()), (Rejection(None, reason),))
