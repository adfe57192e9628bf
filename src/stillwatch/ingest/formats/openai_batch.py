"""OpenAI batch request files: one request per line, {custom_id, method, url, body}.

Why:    a corpus is harvested most cheaply through the batch door, and these files are all there is of it.
Misses: the file names no account of its own and no time; both come from whoever exports it.
Source: OpenAI documentation, "Batch API".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.batch_requests import batch_columns, batch_reader
from stillwatch.ingest.messages import request_columns
from stillwatch.ingest.readers import Format, Head, Row, Source


def _recognises(head: Head) -> bool:
    return any({"custom_id", "body", "url"} <= document.keys() for document in head.documents)


def _rows(entry: Mapping[str, Any], source: Source) -> Iterable[Row]:
    body = entry["body"]
    end_user = body.get("safety_identifier") or body.get("user")
    yield {
        **request_columns(body),
        **batch_columns(entry, source, (entry.get("account_id"), end_user), end_user),
        "metadata": body.get("metadata"),
    }


FORMAT = Format(
    name="openai_batch",
    account_field="account_id (added by the export), then body.safety_identifier, then body.user",
    clock="--started-at",
    recognises=_recognises,
    read=batch_reader(_rows),
)
