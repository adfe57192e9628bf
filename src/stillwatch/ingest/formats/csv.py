"""Comma-, semicolon- or tab-separated values with a header in our own columns, or in any names with a field map."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stillwatch.ingest.documents import MAX_LINE_BYTES, Line, lines
from stillwatch.ingest.readers import Format, Gathering, Head, Raw, Source, gathered
from stillwatch.ingest.streams import Unusable, chunks

_DELIMITERS = ",;\t"


@dataclass(slots=True)
class _Record:
    """One record, which may span several lines, or what was wrong with it."""

    number: int
    cells: list[str] = field(default_factory=list)
    size_bytes: int = 0
    fault: str | None = None


def _recognises(head: Head) -> bool:
    names = set(_cells(head.first_line, _delimiter(head.first_line)))
    return not head.documents and {"account_id", "started_at"} <= names


def _read(source: Source) -> Iterator[Raw]:
    csv.field_size_limit(MAX_LINE_BYTES)  # its default of 128 KB would refuse long prompts
    header: list[str] = []

    def add(record: _Record, gathering: Gathering) -> None:
        if record.fault:
            gathering.reject(record.number, record.fault)
        elif not header:
            header.extend(name.strip() for name in record.cells)
            problem = source.missing(source.names.row(dict.fromkeys(header, "")))
            if problem:
                raise Unusable(problem)
        elif len(record.cells) != len(header):
            gathering.reject(record.number, f"{len(record.cells)} fields where the header has {len(header)}")
        else:
            row: dict[str, Any] = dict(zip(header, record.cells, strict=True))
            gathering.add(record.number, [source.names.row(row)], record.size_bytes)

    return gathered(_records(source), add, source.columns)


def _records(source: Source) -> Iterator[_Record]:
    """Records numbered by the line they begin on. A line that is too long ends the record it stands in."""
    feed = _Feed(lines(chunks(source.path, source.position)))
    reader = csv.reader(feed, delimiter=feed.delimiter)
    while True:
        feed.first = 0
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            yield _Record(feed.first, fault=f"not CSV: a field is longer than {MAX_LINE_BYTES >> 20} MB or misquoted")
        else:
            if cells:
                yield _Record(feed.first, cells, feed.size_bytes)
        yield from feed.taken_faults()


class _Feed:
    """Lines for the csv module, remembering where the current record began and which lines were too long."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._lines = source
        self._ahead = next(source, None)
        self._faults: list[_Record] = []
        self.first, self.size_bytes = 0, 0
        self.delimiter = _delimiter(_text(self._ahead) if self._ahead else "")

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        while self._ahead is not None:
            line, self._ahead = self._ahead, next(self._lines, None)
            if line.fault:
                self._faults.append(_Record(line.number, fault=line.fault))
                continue
            self.size_bytes = len(line.content) if not self.first else self.size_bytes + len(line.content)
            self.first = self.first or line.number
            return _text(line) + "\n"
        raise StopIteration

    def taken_faults(self) -> list[_Record]:
        """Lines that were too long since the last call."""
        faults, self._faults = self._faults, []
        return faults


def _text(line: Line) -> str:
    return line.content.decode("utf-8", "replace").removesuffix("\r")


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


FORMAT = Format(
    name="csv",
    account_field="account_id",
    clock="started_at",
    recognises=_recognises,
    read=_read,
)
