"""OTLP JSON written as protobuf by hand, from the field numbers of the .proto files: the other side of our reader."""

import struct
from typing import Any

Json = dict[str, Any]


def request(document: Json) -> bytes:
    """An export request, of spans or of log records."""
    if "resourceLogs" in document:
        return b"".join(_bytes(1, _resource(one, "scopeLogs", "logRecords", _log)) for one in document["resourceLogs"])
    return b"".join(_bytes(1, _resource(one, "scopeSpans", "spans", _span)) for one in document["resourceSpans"])


def _resource(resource: Json, scopes: str, records: str, encode: Any) -> bytes:
    own = _attributes(1, (resource.get("resource") or {}).get("attributes"))
    inner = [b"".join(_bytes(2, encode(record)) for record in scope[records]) for scope in resource[scopes]]
    return b"".join(_bytes(2, scope) for scope in inner) + _bytes(1, own)  # in the order that is harder to read


def _span(span: Json) -> bytes:
    events = [
        _bytes(11, _text(2, event.get("name")) + _attributes(3, event.get("attributes")))
        for event in span.get("events", [])
    ]
    status = _varint(3 << 3) + _varint(_code(span["status"])) if "status" in span else b""
    return b"".join(
        [
            _hex(1, span.get("traceId")),
            _hex(2, span.get("spanId")),
            _text(5, span.get("name")),
            _moment(7, span.get("startTimeUnixNano")),
            _moment(8, "1"),
            _attributes(9, span.get("attributes")),
            *events,
            _bytes(13, _hex(1, "ab" * 16)),
            _bytes(15, status) if status else b"",
        ]
    )


def _code(status: Json) -> int:
    return {"STATUS_CODE_ERROR": 2}.get(status["code"], status["code"])


def _log(record: Json) -> bytes:
    return b"".join(
        [
            _moment(1, record.get("timeUnixNano")),
            _text(3, "INFO"),
            _bytes(5, value(record["body"])) if "body" in record else b"",
            _attributes(6, record.get("attributes")),
            _hex(9, record.get("traceId")),
            _hex(10, record.get("spanId")),
            _moment(11, record.get("observedTimeUnixNano")),
            _text(12, record.get("eventName")),
        ]
    )


def value(told: Json) -> bytes:
    """An AnyValue."""
    ((kind, held),) = told.items()
    if kind == "stringValue":
        return _bytes(1, held.encode())
    if kind == "boolValue":
        return _varint(2 << 3) + _varint(int(held))
    if kind == "intValue":
        return _varint(3 << 3) + _varint(int(held) % 2**64)
    if kind == "doubleValue":
        return _varint(4 << 3 | 1) + struct.pack("<d", held)
    if kind == "arrayValue":
        return _bytes(5, b"".join(_bytes(1, value(item)) for item in held.get("values", [])))
    return _bytes(6, _attributes(1, held.get("values")))


def _attributes(field: int, told: list[Json] | None) -> bytes:
    return b"".join(_bytes(field, _text(1, one["key"]) + _bytes(2, value(one["value"]))) for one in told or [])


def _moment(field: int, nanos: Any) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<Q", int(nanos)) if nanos not in (None, "") else b""


def _hex(field: int, digits: str | None) -> bytes:
    return _bytes(field, bytes.fromhex(digits)) if digits else b""


def _text(field: int, text: str | None) -> bytes:
    return _bytes(field, text.encode()) if text else b""


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
