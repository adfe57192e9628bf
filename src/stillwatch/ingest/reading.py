"""Log files become batches of exchanges, one bounded batch at a time; what cannot be read is rejected with a reason."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from stillwatch.errors import SettingsError
from stillwatch.ingest.exchange_batches import Looked, exchange_batch, rejected_batch
from stillwatch.ingest.fieldmap import FieldMap, Names
from stillwatch.ingest.keys import Key
from stillwatch.ingest.readers import Format, Part, Raw, Rejection, Source
from stillwatch.ingest.sniffing import MAPPED, Unreadable, check_not_binary, format_of, formats
from stillwatch.ingest.streams import BrokenStream
from stillwatch.records import EXCHANGES, arrow_schema

_SCHEMA = arrow_schema(EXCHANGES)
_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException)
Convert = Callable[[Raw], tuple[pa.RecordBatch, Sequence[Rejection]]]
OnFile = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """A bounded slice of one file: its exchanges, its rejected rows, and how far into the file we are."""

    file: str
    exchanges: pa.RecordBatch  # of EXCHANGES or the schema asked for, with text, identifiers hashed
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
    schema: pa.Schema = _SCHEMA,
    threads: int = 1,
) -> Iterator[Batch]:
    """The exchanges of log files, in batches of at most 65,536 rows and 64 MB of text; every file yields at least one.

    `started_at` is when the requests of a log without a clock (batch files) were made. `on_file` is told each file
    and the name of its format. `schema` has the columns wanted, texts as strings or dictionaries. With several threads,
    parts of files are read side by side where the format allows; the order of the batches is the same.

    Raises:
        SettingsError: when there is no format of that name.
    """
    if input_format is not None and input_format not in formats():
        known = ", ".join(formats())
        raise SettingsError(f"--input-format {input_format}: there is no such format; the formats are: {known}")
    names = (field_map or FieldMap()).exchanges
    needed = frozenset(schema.names)
    sources = (Source(file, names=names, started_at=started_at, needed=needed) for file in files)
    jobs = (job for source in sources for job in _jobs(source, key, schema, input_format, on_file))
    if threads == 1:
        return (batch for job in jobs for batch in job.batches())
    return _side_by_side(jobs, threads)


def raw_slices(
    source: Source, input_format: str | None = None, *, is_mapped: bool = False
) -> tuple[Format | None, Iterator[Raw]]:
    """The format of a file and its raw columns; no format when it is empty or unreadable, which the slice then says."""
    found, parts = _parts(source, input_format, is_mapped=is_mapped)
    return found, _whole(parts)


def _whole(parts: Iterator[Part]) -> Iterator[Raw]:
    for part in parts:
        for raw in part.slices():
            yield raw
            if raw.is_last:
                return


def _parts(
    source: Source, input_format: str | None, *, is_mapped: bool = False
) -> tuple[Format | None, Iterator[Part]]:
    try:
        found = _format(source, input_format, is_mapped or bool(source.names.columns))
    except (BrokenStream, Unreadable) as problem:
        return None, _told(_unreadable(str(problem)))
    except OSError as error:
        return None, _told(_unreadable(f"cannot be read: {error.strerror}"))
    if found is None:
        return None, iter(())
    parts = found.parts(source) if found.parts else iter([Part(partial(found.read, source), fits_memory=False)])
    return found, (replace(part, slices=partial(_until_failure, part)) for part in parts)


def _told(raw: Raw) -> Iterator[Part]:
    return iter([Part(partial(iter, [raw]), fits_memory=True)])


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


@dataclass(slots=True)
class _Reading:
    """One file being read: what its parts have in common, and the first part after which nothing can be trusted."""

    source: Source
    key: Key
    schema: pa.Schema
    looked: Looked
    size: int
    last_part: float = math.inf

    def batches(self, number: int, part: Part) -> Iterator[Batch]:
        """The exchanges of one part."""
        for raw in part.slices():
            for rows, rejections in converted(raw, self._exchanges):
                read = self.source.position.bytes_read if raw.bytes_read is None else raw.bytes_read
                yield self._batch(rows, rejections, read)
            if raw.is_last:
                self.last_part = min(self.last_part, number)
                return

    def end(self) -> Iterator[Batch]:
        """A batch of nothing, so that every file has one."""
        yield self._batch(pa.RecordBatch.from_pylist([], self.schema), (), self.size)

    def _exchanges(self, raw: Raw) -> tuple[pa.RecordBatch, Sequence[Rejection]]:
        return exchange_batch(raw, self.key, self.looked, self.schema)

    def _batch(self, rows: pa.RecordBatch, rejections: Sequence[Rejection], bytes_read: int) -> Batch:
        file = str(self.source.path)
        return Batch(file, rows, rejected_batch(file, rejections), bytes_read, self.size)


@dataclass(frozen=True, slots=True)
class _Job:
    """Part of a file to read; the end of a file when there is no part."""

    reading: _Reading
    number: int = 0
    part: Part | None = None

    def batches(self) -> Iterator[Batch]:
        """The exchanges, unless an earlier part of the file was damaged."""
        if self.part is None:
            return self.reading.end()
        return iter(()) if self.number > self.reading.last_part else self.reading.batches(self.number, self.part)


def _jobs(
    source: Source, key: Key, schema: pa.Schema, input_format: str | None, on_file: OnFile | None
) -> Iterator[_Job]:
    found, parts = _parts(source, input_format)
    if on_file:
        on_file(source.path, found.name if found else "empty or unreadable")
    size = source.path.stat().st_size if source.path.exists() else 0
    reading = _Reading(source, key, schema, _looked(found, source.names), size)
    for number, part in enumerate(parts):
        yield _Job(reading, number, part)
    yield _Job(reading)


def _side_by_side(jobs: Iterator[_Job], threads: int) -> Iterator[Batch]:
    """The batches of the jobs in their order: small parts are read ahead by threads, others when their turn comes."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[tuple[_Job, Future[list[Batch]] | None]] = deque()
        try:
            for job in jobs:
                fits = job.part is not None and job.part.fits_memory
                ahead.append((job, pool.submit(list, job.batches()) if fits else None))
                if len(ahead) > 2 * threads:
                    yield from _done(*ahead.popleft())
            while ahead:
                yield from _done(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _done(job: _Job, future: Future[list[Batch]] | None) -> Iterator[Batch]:
    batches = job.batches() if future is None else iter(future.result())
    return iter(()) if job.number > job.reading.last_part else batches


def _until_failure(part: Part) -> Iterator[Raw]:
    """The slices; when the file cannot be opened again, or not read to its end, a word about that."""
    try:
        yield from part.slices()
    except OSError as error:
        yield replace(_unreadable(f"cannot be read to its end: {error.strerror}"), is_last=True)


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
