"""JSON lines (or a JSON array) of objects in our own columns, or in any names with a field map."""

from collections.abc import Iterable

from stillwatch.ingest.documents import Json
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

# Any two of these beside account_id make it ours rather than somebody's access log.
_OURS = frozenset({"exchange_id", "started_at", "prompt", "completion", "model", "client_ip", "input_tokens"})


def _recognises(head: Head) -> bool:
    return any("account_id" in d and "started_at" in d and len(_OURS & d.keys()) >= 2 for d in head.documents)


def _rows(document: Json, source: Source) -> Iterable[Row]:
    yield source.names.row(document)


FORMAT = Format(
    name="jsonl",
    account_field="account_id",
    clock="started_at",
    recognises=_recognises,
    read=document_reader(_rows),
    rows=_rows,
)
