"""vLLM's own request log: text lines of which those with a JSON body make an exchange.

Why:    a model served without a gateway leaves only this.
Misses: nearly everything. The client is not in it, the account only as the body's own word, the year not at all:
        a gateway's log or OpenTelemetry is the better source.
Source: vllm/entrypoints/logger.py and vllm/logger.py, as of 0.33.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from stillwatch.ingest.documents import ODD_SHAPE, Json, Line, lines, parsed
from stillwatch.ingest.messages import request_columns
from stillwatch.ingest.readers import Format, Gathering, Head, Raw, Row, Source, gathered
from stillwatch.ingest.streams import chunks

_STAMP = rb"(?:INFO|DEBUG) (?P<year>\d{4}-)?(?P<month>\d\d)-(?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d)(?P<ms>[.,]\d{3})?"
_BODY = re.compile(_STAMP + rb".*?\bRequest (?P<id>\S+) JSON body: (?P<body>\{.*\})\s*$")
_RECEIVED = re.compile(rb"\bReceived request [^\s:]+: ")
_UNIQUE = re.compile(rb"[\w.-]*[0-9a-f]{8,}[\w.-]*")  # an id; not, say, the path that was called
_MAX_WAITING = 10_000
_ANY = re.compile(r"^.*(Received request \S+: |Request \S+ JSON body: |\bvLLM API server version )", re.MULTILINE)
_NO_BODY = "no account: this request was logged without its JSON body, and nothing else in the line names one"
_NO_YEAR = "no usable time: the log has no year; give the day it begins with --started-at"


def _recognises(head: Head) -> bool:
    return not head.documents and bool(_ANY.search(head.text))


def _read(source: Source) -> Iterator[Raw]:
    def add(line: Line, gathering: Gathering) -> None:
        found = _BODY.search(line.content)
        if found:
            _add_body(line, found, gathering, source)
        else:
            gathering.reject(line.number, line.fault or _NO_BODY)

    return gathered(_requests(lines(chunks(source.path, source.position))), add, source.columns)


def _requests(found: Iterator[Line]) -> Iterator[Line]:
    """Lines with a body; in a log that has none at all, the lines that say a request was received."""
    waiting: list[Line] = []
    has_bodies = False
    for line in found:
        if line.fault or _BODY.search(line.content):
            has_bodies = has_bodies or not line.fault
            yield line
        elif not has_bodies and _RECEIVED.search(line.content):
            waiting.append(Line(line.number, b""))
            if len(waiting) > _MAX_WAITING:
                yield waiting.pop(0)
    if not has_bodies:
        yield from waiting


def _add_body(line: Line, found: re.Match[bytes], gathering: Gathering, source: Source) -> None:
    started_at = _started_at(found, source.started_at)
    if started_at is None:
        gathering.reject(line.number, _NO_YEAR)
        return
    try:
        body = parsed(found["body"])
        gathering.add(line.number, [_row(body, found, started_at)], len(line.content))
    except ODD_SHAPE:
        gathering.reject(line.number, "the request's JSON body cannot be read; --max-log-len may have cut it")


def _row(body: Json, found: re.Match[bytes], started_at: datetime) -> Row:
    account = body.get("safety_identifier") or body.get("user")
    return {
        **request_columns(body),
        "exchange_id": found["id"].decode() if _UNIQUE.fullmatch(found["id"]) else None,
        "started_at": started_at,
        "account_id": account,
        "access_path": "api",
        "metadata": body.get("metadata"),
    }


def _started_at(found: re.Match[bytes], begins_at: datetime | None) -> datetime | None:
    """The line's time. Its year, when it has none, is the one that puts it within a year after the log begins."""
    clock = f"{found['month'].decode()}-{found['day'].decode()}T{found['clock'].decode()}"
    clock += (found["ms"] or b"").decode().replace(",", ".")
    if found["year"]:
        return _instant(found["year"].decode() + clock)
    if begins_at is None:
        return None
    begins_at = begins_at if begins_at.tzinfo else begins_at.replace(tzinfo=UTC)
    candidates = [_instant(f"{year}-{clock}") for year in (begins_at.year, begins_at.year + 1)]
    # A day of slack: the log's clock may be in another zone than the operator's.
    return next((moment for moment in candidates if moment and moment >= begins_at - timedelta(days=1)), None)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


FORMAT = Format(
    name="vllm",
    account_field="safety_identifier, then user, in the request's JSON body",
    clock="the line's own clock, read as UTC, with the year from --started-at",
    recognises=_recognises,
    read=_read,
)
