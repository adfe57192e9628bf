"""Anthropic message batches: one request per line, {custom_id, params}, or the request body with its list of them.

Why:    a corpus is harvested most cheaply through the batch door, and these files are all there is of it.
Misses: the file names no account of its own and no time; both come from whoever exports it.
Source: Anthropic documentation, "Message Batches".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.batch_requests import batch_columns, batch_reader
from stillwatch.ingest.messages import request_columns
from stillwatch.ingest.readers import Format, Head, Row, Source


def _recognises(head: Head) -> bool:
    return any(
        {"custom_id", "params"} <= entry.keys()
        for document in head.documents
        for entry in _entries(document)
        if isinstance(entry, dict)
    )


def _rows(document: Mapping[str, Any], source: Source) -> Iterable[Row]:
    for entry in _entries(document):
        params = entry["params"]
        metadata = params.get("metadata")
        end_user = metadata.get("user_id") if isinstance(metadata, dict) else None
        account = entry.get("account_id") or document.get("account_id")
        yield {**request_columns(params), **batch_columns(entry, source, (account, end_user), end_user)}


def _entries(document: Mapping[str, Any]) -> list[Any]:
    requests = document.get("requests")
    return requests if isinstance(requests, list) else [document]


FORMAT = Format(
    name="anthropic_batch",
    account_field="account_id (added by the export), then params.metadata.user_id",
    clock="--started-at",
    recognises=_recognises,
    read=batch_reader(_rows),
)
