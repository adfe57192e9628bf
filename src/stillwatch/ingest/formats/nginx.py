"""nginx's access log in JSON (log_format with escape=json), under nginx's variable names.

Why:    the smallest provider has this and nothing else.
Misses: it knows neither account nor model unless the log format carries them; its clock is the end of the request.
Source: nginx documentation, ngx_http_log_module and ngx_http_core_module, "Embedded Variables".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.access_logs import access_row, field
from stillwatch.ingest.cells import text
from stillwatch.ingest.documents import Json
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader
from stillwatch.ingest.times import instant

_CLOCKS = ("msec", "time_iso8601", "time_local", "started_at")
_NAMES = {
    "client_ip": ("remote_addr", "client_ip"),  # not http_x_forwarded_for: the client writes that
    "account_id": ("account_id", "http_x_account_id", "x_account_id", "api_key_hash", "remote_user"),
}


def _recognises(head: Head) -> bool:
    clocks = {"msec", "time_iso8601", "time_local"}
    return any("remote_addr" in document and clocks & document.keys() for document in head.documents)


def _rows(entry: Mapping[str, Any], source: Source) -> Iterable[Row]:
    yield {**access_row(entry, _NAMES), "started_at": _started_at(entry)}


def _started_at(entry: Mapping[str, Any]) -> Json:
    """The log has the time a request ended; less its duration that is when it arrived."""
    ended, duration = field(entry, _CLOCKS), text(field(entry, ("request_time",)))
    moment = instant(ended)
    if moment is None or not duration or not duration.replace(".", "", 1).isdecimal():
        return ended
    return moment.timestamp() - float(duration)


FORMAT = Format(
    name="nginx",
    account_field="account_id, http_x_account_id, api_key_hash or remote_user",
    clock="msec, then time_iso8601, then time_local, less request_time",
    recognises=_recognises,
    read=document_reader(_rows),
)
