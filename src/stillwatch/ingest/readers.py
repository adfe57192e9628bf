"""What a log format owes: to recognise its files, and to turn them into raw columns under canonical names."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillwatch.ingest.cells import RawColumn
from stillwatch.ingest.documents import ODD_SHAPE, Document, documents
from stillwatch.ingest.fieldmap import Names
from stillwatch.ingest.streams import BrokenStream, Position, Unusable, chunks
from stillwatch.records import EXCHANGES

MAX_ROWS = 65_536
MAX_TEXT_BYTES = 64 * 2**20
_GATHERED_ROWS = 16_384  # a row is worth several times its bytes while it is Python objects
_GATHERED_BYTES = 32 * 2**20

Row = Mapping[str, Any]  # canonical column -> the log's value, of any type; absent is null


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input row that could not be read, and why, without its content. No line: the whole file."""

    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """One input file and what the operator told us about it."""

    path: Path
    columns: tuple[str, ...] = EXCHANGES.names  # canonical columns somebody wants
    needed: frozenset[str] = frozenset(EXCHANGES.names)  # of them, what is wanted of a row that has an id of its own
    required: tuple[str, ...] = ("account_id", "started_at")  # without these columns a table is not what we were told
    names: Names = field(default_factory=Names)
    started_at: datetime | None = None
    position: Position = field(default_factory=Position)

    def missing(self, found: Collection[str]) -> str | None:
        """Why a table that has only these of our columns cannot be used; null when it can."""
        absent = [name for name in self.required if name not in found and name not in self.names.constants]
        if not absent:
            return None
        theirs = ", ".join(self.names.columns.get(name, name) for name in absent)
        return f"no column {theirs}: name the columns it has with --field-map, or leave the file out"


@dataclass(frozen=True, slots=True)
class Raw:
    """A slice of a file: raw columns under canonical names, the line of each row, and rows already refused."""

    columns: Mapping[str, RawColumn]
    lines: pa.Array  # (rows,) int64
    rejections: Sequence[Rejection] = ()
    bytes_read: int | None = None  # of the file on disk, up to the end of this slice; null: see the source's position
    is_last: bool = False  # what comes after it in the file, in whatever part, cannot be trusted

    def halves(self) -> tuple["Raw", "Raw"]:
        """The rows in two parts; the rejections stay with the first."""
        middle = len(self.lines) // 2
        first = {name: values[:middle] for name, values in self.columns.items()}
        second = {name: values[middle:] for name, values in self.columns.items()}
        return Raw(first, self.lines[:middle], self.rejections), Raw(second, self.lines[middle:])


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file that is read without the others."""

    slices: Callable[[], Iterator[Raw]]
    fits_memory: bool  # all of its slices at once


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a text file, as much as it takes to recognise its format."""

    first_line: str
    documents: tuple[Mapping[str, Any], ...]  # its first JSON objects; none when it is not JSON
    text: str  # its first lines as they stand


@dataclass(frozen=True, slots=True)
class Format:
    """One log format. `account_field` and `clock` say in words what its page says at length.

    `parts` cuts a file into pieces that threads may read side by side; null: it has to be read from start to end.
    `rows` are the exchanges of one JSON document, where the format is made of such: they may come without a file.
    """

    name: str
    account_field: str
    clock: str
    recognises: Callable[[Head], bool]
    read: Callable[[Source], Iterator[Raw]]
    parts: Callable[[Source], Iterator[Part]] | None = None
    rows: Callable[[Any, Source], Iterable[Row]] | None = None


@dataclass(slots=True)
class Gathering:
    """Rows on their way to becoming columns; full at a bound of rows or of bytes."""

    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    size_bytes: int = 0

    def is_full(self) -> bool:
        """Whether it is time to hand the rows on."""
        return (
            len(self.rows) >= _GATHERED_ROWS
            or self.size_bytes >= _GATHERED_BYTES
            or len(self.rejections) >= _GATHERED_ROWS
        )

    def add(self, line: int, rows: Iterable[Row], size_bytes: int) -> None:
        """Rows that stood on one line."""
        before = len(self.rows)
        self.rows.extend(rows)
        self.lines.extend([line] * (len(self.rows) - before))
        self.size_bytes += size_bytes

    def reject(self, line: int | None, reason: str) -> None:
        """A line that could not be read."""
        self.rejections.append(Rejection(line, reason))

    def taken(self, wanted: Sequence[str]) -> Raw:
        """Everything gathered, as columns; empties this."""
        present = set[str]().union(*self.rows)
        columns = {name: [row.get(name) for row in self.rows] for name in wanted if name in present}
        raw = Raw(columns, pa.array(self.lines, pa.int64()), tuple(self.rejections))
        self.rows, self.lines, self.rejections, self.size_bytes = [], [], [], 0
        return raw


def document_reader(rows: Callable[[Any, Source], Iterable[Row]]) -> Callable[[Source], Iterator[Raw]]:
    """A reader of JSON files from a function that turns one document into its exchanges."""
    return lambda source: document_slices(chunks(source.path, source.position), rows, source)


def document_slices(
    content: Iterator[bytes], rows: Callable[[Any, Source], Iterable[Row]], source: Source
) -> Iterator[Raw]:
    """Raw slices of JSON documents that come in pieces, wherever from."""
    add = partial(_add, rows=rows, source=source)
    return gathered(documents(content), add, source.columns)


def gathered(items: Iterator[Any], add: Callable[[Any, Gathering], None], wanted: Sequence[str]) -> Iterator[Raw]:
    """Raw slices from a stream of numbered items (lines, documents); a break in the stream becomes one rejection."""
    gathering, last = Gathering(), 0
    try:
        for item in items:
            last = item.number
            add(item, gathering)
            if gathering.is_full():
                yield gathering.taken(wanted)
    except BrokenStream as broken:
        gathering.reject(None if isinstance(broken, Unusable) else last + 1, str(broken))
    yield gathering.taken(wanted)


def _add(
    document: Document, gathering: Gathering, rows: Callable[[Any, Source], Iterable[Row]], source: Source
) -> None:
    if document.fault:
        gathering.reject(document.number, document.fault)
    elif not isinstance(document.value, dict):
        gathering.reject(document.number, "a JSON object was expected")
    else:
        try:
            found = list(rows(document.value, source))
        except ODD_SHAPE as error:
            gathering.reject(document.number, f"a field has an unexpected shape ({type(error).__name__})")
        else:
            gathering.add(document.number, found, document.size_bytes)
