"""OpenTelemetry GenAI spans and log records in OTLP JSON, as the Collector's file exporter writes them.

Why:    it is what SDKs and gateways without a log of their own emit.
Misses: content that stands in log records of another file than its span; agent and tool spans are no exchanges.
Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md and gen-ai-events.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stillwatch.ingest import attributes as otel
from stillwatch.ingest.access_logs import access_row
from stillwatch.ingest.documents import ODD_SHAPE, Json
from stillwatch.ingest.formats import envoy
from stillwatch.ingest.messages import request_columns, response_columns
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

# Spans around exchanges, not exchanges themselves: counting them would count the same request twice.
_AROUND = ("agent", "workflow", "tool", "plan", "retrieval", "memory")
SPAN_EVENTS = ("gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.client.inference.operation.details")
MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "choice",
}
FAILED = 2  # STATUS_CODE_ERROR


def _recognises(head: Head) -> bool:
    return any("resourceSpans" in document or "resourceLogs" in document for document in head.documents)


@dataclass(slots=True)
class Record:
    """A span or a log record with what stands on its resource: the same from JSON and from protobuf.

    `found` are attributes, the resource's overruled by its own; `messages` what events say one by one; `name` and
    `body` belong to log records.
    """

    found: dict[str, Any]
    ids: tuple[Any, Any]  # of trace and span, in hex
    at: Json
    is_failed: bool = False
    messages: list[tuple[str, Any]] = field(default_factory=list)
    name: Json = None
    body: Json = None


def _rows(document: Mapping[str, Any], source: Source) -> Iterable[Row]:
    yield from span_rows(_spans(document))
    yield from log_rows(_log_records(document))


def span_rows(spans: Iterable[Record]) -> Iterator[Row]:
    """The exchanges among spans."""
    for span in spans:
        if _is_exchange(span.found):
            yield _row(span)


def log_rows(records: Iterable[Record]) -> Iterator[Row]:
    """The exchanges among log records: whole ones, or one message each, gathered by the span they belong to."""
    spans: dict[tuple[Any, Any], Record] = {}
    for record in records:
        name = record.name or record.found.get("event.name")
        if isinstance(name, str) and name in MESSAGE_EVENTS:
            gathering = spans.setdefault(record.ids, replace(record, found={}, messages=[]))
            gathering.found.update(record.found)
            gathering.messages.append((name, record.body))
        elif is_access_log(record):
            yield _access_row(record)
        elif _is_exchange(record.found):
            yield _row(record)
    yield from map(_row, spans.values())


def with_event(span: Record, name: Json, inner: Mapping[str, Any]) -> None:
    """Take what an event of a span says into the span."""
    if name in SPAN_EVENTS:
        span.found.update(inner)
    elif name in MESSAGE_EVENTS:
        span.messages.append((name, dict(inner)))


def _spans(document: Mapping[str, Any]) -> Iterator[Record]:
    for shared, span in _records(document, "resourceSpans", "scopeSpans", "spans"):
        found = {**shared, **otel.attributes(span.get("attributes"))}
        failed = (span.get("status") or {}).get("code") in (FAILED, "STATUS_CODE_ERROR")
        made = Record(found, _ids(span), span.get("startTimeUnixNano"), failed)
        for event in span.get("events") or []:
            with_event(made, event.get("name"), otel.attributes(event.get("attributes")))
        yield made


def _log_records(document: Mapping[str, Any]) -> Iterator[Record]:
    for shared, record in _records(document, "resourceLogs", "scopeLogs", "logRecords"):
        found = {**shared, **otel.attributes(record.get("attributes"))}
        own = record.get("timeUnixNano")
        at = record.get("observedTimeUnixNano") if own in (None, 0, "0", "") else own
        body = otel.any_value(record.get("body"))
        yield Record(found, _ids(record), at, name=record.get("eventName"), body=body)


def _ids(record: Mapping[str, Any]) -> tuple[Any, Any]:
    return record.get("traceId"), record.get("spanId")


def is_access_log(record: Record) -> bool:
    """Whether a log record is an entry of Envoy's access log, under the names its JSON log has."""
    entry = record.body if isinstance(record.body, dict) else {}
    return len(envoy.SIGNS & (entry.keys() | record.found.keys())) >= 2


def _access_row(record: Record) -> Row:
    """An entry of an access log: attributes by our names where they have them, else by those of the JSON log."""
    entry = {**record.found, **(record.body if isinstance(record.body, dict) else {})}
    named = access_row(entry, envoy.NAMES)
    return {**{column: value for column, value in _row(record).items() if value is not None}, **named}


def _records(
    document: Mapping[str, Any], outer: str, middle: str, inner: str
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Every span or log record with the attributes of the resource it came from."""
    for resource in document.get(outer) or []:
        shared = otel.attributes((resource.get("resource") or {}).get("attributes"))
        for scope in resource.get(middle) or []:
            for record in scope.get(inner) or []:
                yield shared, record


def is_around(operation: str) -> bool:
    """Whether an operation is one around exchanges."""
    return any(word in operation for word in _AROUND)


def _is_exchange(found: Mapping[str, Any]) -> bool:
    operation = found.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation:
        return not is_around(operation)
    return any(name.startswith(("gen_ai.request.", "gen_ai.response.", "gen_ai.usage.")) for name in found)


def _row(record: Record) -> Row:
    found = record.found
    try:
        request, response = _content(found, record.messages)
    except ODD_SHAPE:  # clients write it, and must not be able to hide the request with it
        request, response = {}, {}
    account = otel.first(found, otel.ACCOUNTS)
    named = {column: otel.first(found, names) for column, names in otel.ALIASES.items()}
    users = otel.first(found, otel.END_USERS)
    reasons = found.get("gen_ai.response.finish_reasons")
    status = otel.first(found, otel.STATUSES)
    return {
        **request,
        **response,
        **{column: value for column, value in named.items() if value is not None},
        "access_path": named["access_path"] or otel.access_path(found),
        "exchange_id": _id(record.ids) or found.get("gen_ai.response.id"),
        "started_at": record.at,
        "account_id": account,
        "end_user_id": users if users != account else None,
        "finish_reason": reasons[0] if isinstance(reasons, list) and reasons else response.get("finish_reason"),
        "status": status if status is not None else "failure" if record.is_failed else "success",
    }


def _id(ids: tuple[Any, Any]) -> str | None:
    trace, span = ids
    return f"{trace}:{span}".lower() if trace and span else None


def _content(found: Mapping[str, Any], messages: list[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    asked = otel.content(found, otel.INPUTS) or otel.indexed_messages(found, "prompt")
    answered = otel.content(found, otel.OUTPUTS) or otel.indexed_messages(found, "completion")
    for name, body in messages:
        said = body if isinstance(body, dict) else {"content": body}
        role = MESSAGE_EVENTS[name]
        if role == "choice":
            answered = [*(answered or []), {**said, "message": said.get("message") or {"content": said.get("content")}}]
        else:
            asked = [*(asked or []), {**said, "role": said.get("role") or role}]
    request = request_columns(
        {
            "messages": asked,
            "system": otel.content(found, otel.SYSTEMS),
            "tools": otel.content(found, otel.TOOLS),
        }
    )
    return {name: value for name, value in request.items() if name != "model"}, answered_columns(answered)


def answered_columns(answered: Json) -> dict[str, Any]:
    """What the messages of an answer say, or its text."""
    response = response_columns(answered if isinstance(answered, str) else {"output": answered})
    if isinstance(answered, list) and answered and isinstance(answered[0], dict):
        response["finish_reason"] = answered[0].get("finish_reason")
    return response


FORMAT = Format(
    name="otlp",
    account_field=f"the attributes {', '.join(otel.ACCOUNTS)}",
    clock="startTimeUnixNano of a span, timeUnixNano of a log record",
    recognises=_recognises,
    read=document_reader(_rows),
    rows=_rows,
)
