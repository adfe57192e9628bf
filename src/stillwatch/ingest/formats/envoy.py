"""Envoy's JSON access log, plain or with the keys of Envoy AI Gateway.

Why:    it sees every client's address, TLS fingerprint and user agent, which gateways behind it do not.
Misses: it knows no account by itself; the log format must carry one (a header the authoriser sets).
Source: Envoy documentation, "Access logging"; Envoy AI Gateway, site/docs/capabilities/observability/accesslogs.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.access_logs import access_row
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

SIGNS = frozenset(
    {"response_flags", "response_code_details", "downstream_remote_address", "upstream_cluster", "route_name"}
)
NAMES = {
    "started_at": ("start_time",),
    # The peer Envoy settled on comes first. Of a forwarded-for list only the last hop was written by a proxy.
    "client_ip": ("downstream_remote_address_without_port", "downstream_remote_address", "x-forwarded-for"),
}


def _recognises(head: Head) -> bool:
    return any("start_time" in document and len(SIGNS & document.keys()) >= 2 for document in head.documents)


def _rows(entry: Mapping[str, Any], source: Source) -> Iterable[Row]:
    yield access_row(entry, NAMES)


FORMAT = Format(
    name="envoy",
    account_field="account_id, x-account-id or api_key_hash, which the access log format must carry",
    clock="start_time",
    recognises=_recognises,
    read=document_reader(_rows),
)
