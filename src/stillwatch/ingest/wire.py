"""OTLP protobuf walked once, outside the interpreter's lock: where records, their attributes and events stand.

    request ── resource ── attributes                     records  one row per span or log record
            └─ scope ── span or log record ── attributes  pairs    one row per attribute that anybody reads
                                           └─ events      events   one row per event of a span

Why:    decoded into objects, a body takes many times its size and most of the time; here an attribute that no reader
        asks for costs a look at its key. A body of nothing but empty records must not become large tables.
Misses: whatever stands in fields that are not walked (links, trace state) is not looked at, so it may be damaged.
Source: Protocol Buffers, "Encoding"; opentelemetry-proto 1.x, trace.proto, logs.proto, common.proto.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

# Columns of the three tables; spans of bytes are given by start and stop.
RESOURCE, TRACE, SPAN, AT, OBSERVED_AT, STATUS, NAME, BODY_KIND, BODY = 0, 1, 3, 5, 6, 7, 8, 10, 11
RECORD_COLUMNS = 13
OWNER, EVENT, KEY, KEY_SPAN, KIND, VALUE = 0, 1, 2, 3, 5, 6
PAIR_COLUMNS = 8
EVENT_COLUMNS = 3  # record, name

# Fields of AnyValue, which are the kinds of a value; 0 is none of them.
STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST, BYTES = 1, 2, 3, 4, 5, 6, 7

LEAST_RECORD_BYTES = 16  # a span has an id and a start; smaller ones are no traffic of anybody
_BUCKETS = 1024
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_GENAI = np.frombuffer(b"gen_ai.", np.uint8)


class Torn(Exception):  # noqa: N818 - never leaves ingest
    """The bytes are no message of that shape."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


@dataclass(frozen=True, slots=True)
class Names:
    """Keys that are asked for, found by their bytes."""

    text: Bytes
    edges: Ints
    buckets: Ints  # (_BUCKETS,) number of a name, -1 where there is none

    @classmethod
    def of(cls, names: Sequence[str]) -> "Names":
        """The names in their order."""
        raw = [name.encode() for name in names]
        buckets = np.full(_BUCKETS, -1, np.int64)
        for number, name in enumerate(raw):
            at = int(_hash(np.frombuffer(name, np.uint8), 0, len(name)))
            while buckets[at] >= 0:
                at = (at + 1) % _BUCKETS
            buckets[at] = number
        return cls(np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]), buckets)


class _Tables(NamedTuple):
    """What the kernels read and fill; counts of records, pairs, events and resources go on when a table is full."""

    text: Bytes
    edges: Ints
    buckets: Ints
    records: Ints
    pairs: Ints
    events: Ints
    counts: Ints


@dataclass(frozen=True, slots=True)
class Walked:
    """The tables of one body."""

    records: Ints
    pairs: Ints
    events: Ints
    resources: int


def walked(content: bytes, names: Names, *, is_log: bool) -> Walked:
    """The records of an export request.

    Raises:
        Torn: it is none.
    """
    data = np.frombuffer(content or b"\0", np.uint8)[: len(content)]
    sizes = (len(content) // 256 + 16, len(content) // 64 + 64, len(content) // 1024 + 16)
    while True:
        records, pairs, events = (
            np.zeros((rows, columns), np.int64)
            for rows, columns in zip(sizes, (RECORD_COLUMNS, PAIR_COLUMNS, EVENT_COLUMNS), strict=True)
        )
        into = _Tables(names.text, names.edges, names.buckets, records, pairs, events, np.zeros(4, np.int64))
        torn_at = _walk(data, is_log, into)
        if torn_at >= 0:
            raise Torn(int(torn_at))
        found, wanted, told, resources = into.counts.tolist()
        most = len(content) // LEAST_RECORD_BYTES + 1
        if max(found, resources, told, wanted // 2) > most:
            raise Torn(0)
        if found <= sizes[0] and wanted <= sizes[1] and told <= sizes[2]:
            return Walked(records[:found], pairs[:wanted], events[:told], resources)
        sizes = (found, wanted, told)


def any_value(content: bytes, start: int, stop: int) -> tuple[int, int, int]:
    """Kind of an AnyValue and its value: the number itself, or start and stop.

    Raises:
        Torn: it is none.
    """
    kind, first, last, after = any_field(np.frombuffer(content, np.uint8), start, stop)
    if after < 0:
        raise Torn(start)
    return int(kind), int(first), int(last)


def members(content: bytes, start: int, stop: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the fields of a message that have the number that is wanted and are spans of bytes.

    Raises:
        Torn: it is no message.
    """
    data, at = np.frombuffer(content, np.uint8), start
    while at < stop:
        number, wire, first, last, after = field(data, at, stop)
        if after < 0:
            raise Torn(at)
        if number == wanted and wire == _LENGTH:
            yield int(first), int(last)
        at = after


@njit(nogil=True, cache=True)
def _hash(data: Bytes, start: int, stop: int) -> np.int64:
    state = np.uint32(2166136261)
    for i in range(start, stop):
        state = np.uint32((state ^ np.uint32(data[i])) * np.uint32(16777619))
    return np.int64((state ^ (state >> np.uint32(15))) % np.uint32(_BUCKETS))


@njit(nogil=True, cache=True)
def _varint(data: Bytes, at: int, end: int) -> tuple[np.int64, int]:
    """A number and what comes after it; after is -1 when it does not end."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return np.int64(value), at
        shift += np.uint64(7)
    return np.int64(0), -1


@njit(nogil=True, cache=True)
def field(data: Bytes, at: int, end: int) -> tuple[np.int64, np.int64, np.int64, np.int64, int]:
    """Number, wire type, value (of a span of bytes: start and stop) and what comes after it, -1 when it is torn."""
    tag, at = _varint(data, at, end)
    if at < 0 or tag >> 3 <= 0:
        return np.int64(0), np.int64(0), np.int64(0), np.int64(0), -1
    number, wire = tag >> 3, tag & 7
    if wire == _VARINT:
        value, at = _varint(data, at, end)
        return number, wire, value, np.int64(0), at
    size = np.int64(8) if wire == _FIXED64 else np.int64(4)
    if wire == _LENGTH:
        size, at = _varint(data, at, end)
    elif wire not in (_FIXED64, _FIXED32):
        at = -1
    if at < 0 or size < 0 or size > end - at:
        return np.int64(0), np.int64(0), np.int64(0), np.int64(0), -1
    return number, wire, np.int64(at), np.int64(at + size), int(at + size)


@njit(nogil=True, cache=True)
def _fixed64(data: Bytes, at: int) -> np.int64:
    value = np.uint64(0)
    for i in range(8):
        value |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return np.int64(value)


@njit(nogil=True, cache=True)
def any_field(data: Bytes, at: int, end: int) -> tuple[np.int64, np.int64, np.int64, int]:
    """Kind of an AnyValue and its value: the number itself, or start and stop; the last field is -1 when it is torn."""
    kind, first, second = np.int64(0), np.int64(0), np.int64(0)
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return kind, first, second, -1
        if number in (BOOL, INT) and wire == _VARINT:
            kind, first, second = number, start, np.int64(0)
        elif number == DOUBLE and wire == _FIXED64:
            kind, first, second = number, _fixed64(data, start), np.int64(0)
        elif number in (STRING, ARRAY, KVLIST, BYTES) and wire == _LENGTH:
            kind, first, second = number, start, stop
    return kind, first, second, at


@njit(nogil=True, cache=True)
def _known(data: Bytes, start: int, stop: int, into: _Tables) -> np.int64:
    """Number of a key; -1 when nobody asks for it by name, -2 when it is a GenAI attribute all the same."""
    at = _hash(data, start, stop)
    while into.buckets[at] >= 0:
        name = into.buckets[at]
        first = into.edges[name]
        if into.edges[name + 1] - first == stop - start:
            is_same = True
            for i in range(stop - start):
                is_same = is_same and into.text[first + i] == data[start + i]
            if is_same:
                return name
        at = (at + 1) % _BUCKETS
    if stop - start < len(_GENAI):
        return np.int64(-1)
    for i in range(len(_GENAI)):
        if data[start + i] != _GENAI[i]:
            return np.int64(-1)
    return np.int64(-2)


@njit(nogil=True, cache=True)
def _pair(data: Bytes, at: int, end: int, owner: int, event: int, into: _Tables) -> int:
    """Take in a KeyValue; -1 when it is torn."""
    first, last, kind, value, stop_of_value = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return -1
        if number == 1 and wire == _LENGTH:
            first, last = start, stop
        elif number == 2 and wire == _LENGTH:
            kind, value, stop_of_value, after = any_field(data, start, stop)
            if after < 0:
                return -1
    key = _known(data, first, last, into)
    if key == -1 and event < 0:
        return 0
    row = into.counts[1]
    into.counts[1] += 1
    if row < len(into.pairs):
        found = into.pairs[row]
        found[OWNER], found[EVENT], found[KEY] = owner, event, key
        found[KEY_SPAN], found[KEY_SPAN + 1] = first, last
        found[KIND], found[VALUE], found[VALUE + 1] = kind, value, stop_of_value
    return 0


@njit(nogil=True, cache=True)
def _event(data: Bytes, at: int, end: int, owner: int, into: _Tables) -> int:
    """Take in an event of a span; -1 when it is torn."""
    row = into.counts[2]
    into.counts[2] += 1
    first, last = np.int64(0), np.int64(0)
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return -1
        if number == 2 and wire == _LENGTH:
            first, last = start, stop
        elif number == 3 and wire == _LENGTH and _pair(data, start, stop, owner, row, into) < 0:
            return -1
    if row < len(into.events):
        into.events[row, 0], into.events[row, 1], into.events[row, 2] = owner, first, last
    return 0


@njit(nogil=True, cache=True)
def _status(data: Bytes, at: int, end: int) -> tuple[np.int64, int]:
    code = np.int64(0)
    while at < end:
        number, wire, value, _, at = field(data, at, end)
        if at < 0:
            return code, -1
        if number == 3 and wire == _VARINT:
            code = value
    return code, at


@njit(nogil=True, cache=True)
def _span(data: Bytes, at: int, end: int, row: int, found: Ints, into: _Tables) -> int:
    """Take in a span; -1 when it is torn."""
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return -1
        if wire == _FIXED64 and number == 7:
            found[AT] = _fixed64(data, start)
        if wire != _LENGTH:
            continue
        after = 0
        if number == 9:
            after = _pair(data, start, stop, row, -1, into)
        elif number == 1:
            found[TRACE], found[TRACE + 1] = start, stop
        elif number == 2:
            found[SPAN], found[SPAN + 1] = start, stop
        elif number == 11:
            after = _event(data, start, stop, row, into)
        elif number == 15:
            found[STATUS], after = _status(data, start, stop)
        if after < 0:
            return -1
    return 0


@njit(nogil=True, cache=True)
def _log_record(data: Bytes, at: int, end: int, row: int, found: Ints, into: _Tables) -> int:
    """Take in a log record; -1 when it is torn."""
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return -1
        if wire == _FIXED64 and number == 1:
            found[AT] = _fixed64(data, start)
        elif wire == _FIXED64 and number == 11:
            found[OBSERVED_AT] = _fixed64(data, start)
        if wire != _LENGTH:
            continue
        after = 0
        if number == 6:
            after = _pair(data, start, stop, row, -1, into)
        elif number == 5:
            found[BODY_KIND], found[BODY], found[BODY + 1], after = any_field(data, start, stop)
        elif number == 9:
            found[TRACE], found[TRACE + 1] = start, stop
        elif number == 10:
            found[SPAN], found[SPAN + 1] = start, stop
        elif number == 12:
            found[NAME], found[NAME + 1] = start, stop
        if after < 0:
            return -1
    return 0


@njit(nogil=True, cache=True)
def _attributes(data: Bytes, at: int, end: int, resource: int, into: _Tables) -> int:
    """Take in the attributes of a resource, whose owner is its number below 0; -1 when they are torn."""
    while at < end:
        number, wire, start, stop, at = field(data, at, end)
        if at < 0 or (number == 1 and wire == _LENGTH and _pair(data, start, stop, -1 - resource, -1, into) < 0):
            return -1
    return 0


@njit(nogil=True, cache=True)
def _scope(data: Bytes, at: int, end: int, is_log: bool, resource: int, into: _Tables) -> int:
    """Take in the records of a scope; below 0 the place where they are torn, less one."""
    spare = np.zeros(RECORD_COLUMNS, np.int64)
    while at < end:
        before = at
        number, wire, start, stop, at = field(data, at, end)
        if at < 0:
            return -1 - before
        if number != 2 or wire != _LENGTH:
            continue
        row = into.counts[0]
        into.counts[0] += 1
        found = into.records[row] if row < len(into.records) else spare
        found[RESOURCE] = resource
        if is_log:
            after = _log_record(data, start, stop, row, found, into)
        else:
            after = _span(data, start, stop, row, found, into)
        if after < 0:
            return -1 - before
    return 0


@njit(nogil=True, cache=True)
def _walk(data: Bytes, is_log: bool, into: _Tables) -> int:
    """Fill the tables as far as they reach and count on; the place where the request is torn, else -1."""
    at, end = 0, len(data)
    while at < end:
        before = at
        number, wire, inner, last, at = field(data, at, end)
        if at < 0:
            return before
        if number != 1 or wire != _LENGTH:
            continue
        resource = into.counts[3]
        into.counts[3] += 1
        while inner < last:
            before = inner
            number, wire, start, stop, inner = field(data, inner, last)
            if inner < 0:
                return before
            if number == 1 and wire == _LENGTH and _attributes(data, start, stop, resource, into) < 0:
                return before
            if number == 2 and wire == _LENGTH:
                torn = _scope(data, start, stop, is_log, resource, into)
                if torn < 0:
                    return -1 - torn
    return -1
