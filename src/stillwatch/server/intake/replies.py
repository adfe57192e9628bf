"""Replies of OTLP/HTTP, in the type of the request.

Source: OpenTelemetry Protocol specification 1.x, "OTLP/HTTP Response"; trace_service.proto, logs_service.proto;
        google/rpc/status.proto. A message of two fields is written here by hand.
"""

import orjson
from fastapi import HTTPException, Response

from stillwatch.server.intake.taking import SPANS, Kind, Taken

DUPLICATE = "X-Stillwatch-Duplicate"
_PARTIAL_SUCCESS, _REJECTED, _MESSAGE = 1, 1, 2
_VARINT, _LENGTH = 0, 2
_INVALID, _UNAVAILABLE, _UNKNOWN = 3, 14, 2  # of google.rpc.Code


def otlp_taken(done: Taken, kind: Kind, *, is_json: bool) -> Response:
    """What became of an export request."""
    because = f"{done.reasons[0].reason}; the first at {done.reasons[0].line}" if done.reasons else ""
    headers = {DUPLICATE: "true"} if done.is_duplicate else None
    if is_json:
        field = "rejectedSpans" if kind.name == SPANS.name else "rejectedLogRecords"
        told = {"partialSuccess": {field: str(done.rejected), "errorMessage": because}} if done.rejected else {}
        return Response(orjson.dumps(told), media_type="application/json", headers=headers)
    content = b""
    if done.rejected:
        partial = _number(_REJECTED, done.rejected) + _text(_MESSAGE, because)
        content = _bytes(_PARTIAL_SUCCESS, partial)
    return Response(content, media_type="application/x-protobuf", headers=headers)


def otlp_failed(refusal: HTTPException, *, is_json: bool) -> Response:
    """Why an export request was refused, as a google.rpc.Status."""
    code = {400: _INVALID, 413: _INVALID, 503: _UNAVAILABLE}.get(refusal.status_code, _UNKNOWN)
    headers = dict(refusal.headers or {})
    if is_json:
        content = orjson.dumps({"code": code, "message": str(refusal.detail)})
        return Response(content, refusal.status_code, headers, "application/json")
    content = _number(1, code) + _text(2, str(refusal.detail))
    return Response(content, refusal.status_code, headers, "application/x-protobuf")


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
