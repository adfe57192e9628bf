"""OpenTelemetry GenAI spans and log records in OTLP JSON, as the Collector's file exporter writes them.

Why:    it is what SDKs and gateways without a log of their own emit.
Misses: content that stands in log records of another file than its span; agent and tool spans are no exchanges.
Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md and gen-ai-events.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stillwatch.ingest import attributes as otel
from stillwatch.ingest.documents import Json
from stillwatch.ingest.messages import request_columns, response_columns
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

# Spans around exchanges, not exchanges themselves: counting them would count the same request twice.
_AROUND = ("agent", "workflow", "tool", "plan", "retrieval", "memory")
_SPAN_EVENTS = ("gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.client.inference.operation.details")
_MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "choice",
}
_FAILED = 2  # STATUS_CODE_ERROR


def _recognises(head: Head) -> bool:
    return any("resourceSpans" in document or "resourceLogs" in document for document in head.documents)


def _rows(document: Mapping[str, Any], source: Source) -> Iterable[Row]:
    for shared, span in _records(document, "resourceSpans", "scopeSpans", "spans"):
        found = {**shared, **otel.attributes(span.get("attributes"))}
        messages = []
        for event in span.get("events") or []:
            inner = otel.attributes(event.get("attributes"))
            if event.get("name") in _SPAN_EVENTS:
                found.update(inner)
            elif event.get("name") in _MESSAGE_EVENTS:
                messages.append((event["name"], inner))
        if _is_exchange(found):
            failed = (span.get("status") or {}).get("code") in (_FAILED, "STATUS_CODE_ERROR")
            yield _row(found, messages, span, span.get("startTimeUnixNano"), failed)
    yield from _logged(document)


def _logged(document: Mapping[str, Any]) -> Iterator[Row]:
    """Log records: whole exchanges in one, or one message each, which are gathered by the span they belong to."""
    spans: dict[tuple[Any, Any], tuple[dict[str, Any], list[tuple[str, Any]], Mapping[str, Any]]] = {}
    for shared, record in _records(document, "resourceLogs", "scopeLogs", "logRecords"):
        found = {**shared, **otel.attributes(record.get("attributes"))}
        name = record.get("eventName") or found.get("event.name")
        if name in _MESSAGE_EVENTS:
            ids = (record.get("traceId"), record.get("spanId"))
            merged, messages, _ = spans.setdefault(ids, ({}, [], record))
            merged.update(found)
            messages.append((str(name), otel.any_value(record.get("body"))))
        elif _is_exchange(found):
            yield _row(found, [], record, _logged_at(record), False)
    for merged, messages, record in spans.values():
        yield _row(merged, messages, record, _logged_at(record), False)


def _logged_at(record: Mapping[str, Any]) -> Json:
    own = record.get("timeUnixNano")
    return record.get("observedTimeUnixNano") if own in (None, 0, "0", "") else own


def _records(
    document: Mapping[str, Any], outer: str, middle: str, inner: str
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Every span or log record with the attributes of the resource it came from."""
    for resource in document.get(outer) or []:
        shared = otel.attributes((resource.get("resource") or {}).get("attributes"))
        for scope in resource.get(middle) or []:
            for record in scope.get(inner) or []:
                yield shared, record


def _is_exchange(found: Mapping[str, Any]) -> bool:
    operation = found.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation:
        return not any(word in operation for word in _AROUND)
    return any(name.startswith(("gen_ai.request.", "gen_ai.response.", "gen_ai.usage.")) for name in found)


def _row(
    found: Mapping[str, Any],
    messages: list[tuple[str, Any]],
    record: Mapping[str, Any],
    started_at: Json,
    failed: bool,
) -> Row:
    request, response = _content(found, messages)
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
        "exchange_id": _id(record) or found.get("gen_ai.response.id"),
        "started_at": started_at,
        "account_id": account,
        "end_user_id": users if users != account else None,
        "finish_reason": reasons[0] if isinstance(reasons, list) and reasons else response.get("finish_reason"),
        "status": status if status is not None else "failure" if failed else "success",
    }


def _id(record: Mapping[str, Any]) -> str | None:
    trace, span = record.get("traceId"), record.get("spanId")
    return f"{trace}:{span}".lower() if trace and span else None


def _content(found: Mapping[str, Any], messages: list[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    asked = otel.content(found, otel.INPUTS) or otel.indexed_messages(found, "prompt")
    answered = otel.content(found, otel.OUTPUTS) or otel.indexed_messages(found, "completion")
    for name, body in messages:
        said = body if isinstance(body, dict) else {"content": body}
        role = _MESSAGE_EVENTS[name]
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
    response = response_columns(answered if isinstance(answered, str) else {"output": answered})
    if isinstance(answered, list) and answered and isinstance(answered[0], dict):
        response["finish_reason"] = answered[0].get("finish_reason")
    return {name: value for name, value in request.items() if name != "model"}, response


FORMAT = Format(
    name="otlp",
    account_field=f"the attributes {', '.join(otel.ACCOUNTS)}",
    clock="startTimeUnixNano of a span, timeUnixNano of a log record",
    recognises=_recognises,
    read=document_reader(_rows),
)
