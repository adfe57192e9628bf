"""OTLP export requests in protobuf: the same records, and so the same exchanges, as from OTLP JSON.

Misses: an attribute that no reader of ours asks for by name and that is no GenAI attribute is not even decoded.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stillwatch.errors import InputError
from stillwatch.ingest import wire
from stillwatch.ingest.formats import otlp
from stillwatch.ingest.otlp_columns import KEYS, MADE, NAMES, plain_records
from stillwatch.ingest.readers import Gathering, Raw, Source

_MOST_DEPTH = 64  # of a value inside a value
_UNSIGNED = 2**64
_SLICE_ROWS = 16_384


def span_slices(content: bytes, source: Source) -> Iterator[Raw]:
    """Raw slices of an ExportTraceServiceRequest.

    Raises:
        InputError: it is none; says where.
    """
    return _slices(content, source, is_log=False)


def log_slices(content: bytes, source: Source) -> Iterator[Raw]:
    """Raw slices of an ExportLogsServiceRequest.

    Raises:
        InputError: it is none; says where.
    """
    return _slices(content, source, is_log=True)


def _slices(content: bytes, source: Source, *, is_log: bool) -> Iterator[Raw]:
    """The plain records column by column, where these columns are all that is wanted; then the others one by one."""
    try:
        walked = wire.walked(content, NAMES, is_log=is_log)
        is_done = np.zeros(len(walked.records), bool)
        if source.needed <= MADE:
            with suppress(pa.ArrowInvalid, UnicodeDecodeError):  # a text that is no UTF-8: one by one
                plain, is_done = plain_records(content, walked, is_log=is_log)
                yield from _cut(plain)
        if not is_done.all():
            yield from _gathered(content, walked, is_done, source, is_log=is_log)
    except wire.Torn as torn:
        raise InputError(f"not an OTLP export request in protobuf: it makes no sense at byte {torn.at}") from torn


def _cut(raw: Raw) -> Iterator[Raw]:
    for start in range(0, len(raw.lines), _SLICE_ROWS):
        columns = {name: values[start : start + _SLICE_ROWS] for name, values in raw.columns.items()}
        yield Raw(columns, raw.lines[start : start + _SLICE_ROWS])


def _gathered(
    content: bytes, walked: wire.Walked, is_done: npt.NDArray[np.bool_], source: Source, *, is_log: bool
) -> Iterator[Raw]:
    records = _records(content, walked, is_done)
    gathering = Gathering()
    for number, row in enumerate(otlp.log_rows(records) if is_log else otlp.span_rows(records), start=1):
        gathering.add(number, (row,), 0)
        if gathering.is_full():
            yield gathering.taken(source.columns)
    if gathering.rows:
        yield gathering.taken(source.columns)


def _records(content: bytes, walked: wire.Walked, is_done: npt.NDArray[np.bool_]) -> Iterator[otlp.Record]:
    """The records that are not done."""
    shared: list[dict[str, Any]] = [{} for _ in range(walked.resources)]
    own: list[dict[str, Any]] = [{} for _ in range(len(walked.records))]
    told: list[dict[str, Any]] = [{} for _ in range(len(walked.events))]
    owners = walked.pairs[:, wire.OWNER]
    pairs = walked.pairs[(owners < 0) | ~is_done[owners]] if is_done.any() else walked.pairs
    columns = [column.tolist() for column in pairs.T]  # a list of rows would be as many lists to collect
    for owner, event, key, first, last, kind, value, stop in zip(*columns, strict=True):
        name = KEYS[key] if key >= 0 else _text(content, first, last)
        holder = told[event] if event >= 0 else own[owner] if owner >= 0 else shared[-1 - owner]
        holder[name] = _text(content, value, stop) if kind == wire.STRING else _value(content, kind, value, stop)
    events: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for (owner, first, last), inner in zip(walked.events.tolist(), told, strict=True):
        events.setdefault(owner, []).append((_text(content, first, last), inner))
    for number in np.flatnonzero(~is_done).tolist():
        row = walked.records[number].tolist()
        made = _record(content, row, {**shared[row[wire.RESOURCE]], **own[number]})
        for name, inner in events.get(number, ()):
            otlp.with_event(made, name, inner)
        yield made


def _record(content: bytes, row: list[int], found: dict[str, Any]) -> otlp.Record:
    """One record; identifiers that are not set have no bytes, moments that are not set are 0."""
    ids = (
        content[row[wire.TRACE] : row[wire.TRACE + 1]].hex(),
        content[row[wire.SPAN] : row[wire.SPAN + 1]].hex(),
    )
    at = (row[wire.AT] or row[wire.OBSERVED_AT]) % _UNSIGNED
    made = otlp.Record(found, ids, at, row[wire.STATUS] == otlp.FAILED)
    if row[wire.BODY_KIND]:
        made.body = _value(content, row[wire.BODY_KIND], row[wire.BODY], row[wire.BODY + 1])
    if row[wire.NAME + 1]:
        made.name = _text(content, row[wire.NAME], row[wire.NAME + 1])
    return made


def _text(content: bytes, start: int, stop: int) -> str:
    return content[start:stop].decode("utf-8", "replace")


def _value(content: bytes, kind: int, value: int, stop: int, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """A value as `attributes.any_value` has it of JSON; a negative integer is null there and here."""
    if depth > _MOST_DEPTH:
        raise wire.Torn(value)
    if kind in (wire.STRING, wire.BYTES):
        return _text(content, value, stop)
    if kind == wire.BOOL:
        return bool(value)
    if kind == wire.INT:
        return value if value >= 0 else None
    if kind == wire.DOUBLE:
        return struct.unpack("<d", struct.pack("<q", value))[0]
    if kind == wire.ARRAY:
        return [_any(content, *span, depth + 1) for span in wire.members(content, value, stop, 1)]
    if kind == wire.KVLIST:
        return dict(_pair(content, *span, depth + 1) for span in wire.members(content, value, stop, 1))
    return None


def _pair(content: bytes, start: int, stop: int, depth: int) -> tuple[str, Any]:
    name, value = "", None
    for first, last in wire.members(content, start, stop, 1):
        name = _text(content, first, last)
    for first, last in wire.members(content, start, stop, 2):
        value = _any(content, first, last, depth)
    return name, value


def _any(content: bytes, start: int, stop: int, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    return _value(content, *wire.any_value(content, start, stop), depth)
