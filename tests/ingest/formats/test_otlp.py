import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.ingest import Key
from stillwatch.ingest.attributes import any_value

NANOS = "1772452800250000000"
MOMENT = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def value(plain: Any) -> dict[str, Any]:
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": attributes(plain)}}
    return {"stringValue": plain}


def attributes(plain: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(cell)} for name, cell in plain.items()]


def spans(*given: dict[str, Any], resource: dict[str, Any] | None = None) -> str:
    made = [
        {
            "traceId": "AB" * 16,
            "spanId": f"{i:016x}",
            "startTimeUnixNano": NANOS,
            **span,
            "attributes": attributes(span["attributes"]),
        }
        for i, span in enumerate(given)
    ]
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": attributes(resource or {})}, "scopeSpans": [{"spans": made}]}]}
    )


def logs(*given: dict[str, Any]) -> str:
    made = [
        {"timeUnixNano": NANOS, **record, "attributes": attributes(record.get("attributes", {}))} for record in given
    ]
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": made}]}]})


NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "m",
    "gen_ai.conversation.id": "conv",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.reasoning.output_tokens": 4,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.tool.definitions": [{"name": "f"}],
    "llm.account.id": "a1",
    "llm.org.id": "o1",
    "enduser.id": "u1",
    "client.address": "203.0.113.9",
    "user_agent.original": "sdk/1",
    "tls.client.ja4": "t13d",
    "gen_ai.system_instructions": [{"type": "text", "content": "sys"}],
    "gen_ai.input.messages": [
        {"role": "user", "parts": [{"type": "text", "content": "hello"}, {"type": "uri", "uri": "x"}]}
    ],
    "gen_ai.output.messages": [
        {"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "length"}
    ],
}


def test_a_span_of_the_new_names_reaches_every_column(read: Any, key: Key) -> None:
    rows, rejected = read(spans({"attributes": NEW}))
    assert rejected == []
    row = rows[0]
    expected = {
        "exchange_id": "ab" * 16 + ":" + "0" * 16,
        "started_at": MOMENT,
        "account_id": "a1",
        "organization_id": "o1",
        "end_user_id": key.identifier("end_user", "u1"),
        "session_id": "conv",
        "access_path": "bedrock",
        "model": "m",
        "client_ip": key.identifier("ip", "203.0.113.9"),
        "user_agent": "sdk/1",
        "tls_fingerprint": "t13d",
        "system_prompt": "sys",
        "prompt": "hello",
        "completion": "hi",
        "turn_count": 1,
        "tool_count": 1,
        "image_count": 0,
        "input_tokens": 9,
        "output_tokens": 12,
        "reasoning_tokens": 4,
        "finish_reason": "stop",
        "status": "success",
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    "old",
    [
        {"gen_ai.prompt": '[{"role": "user", "content": "hello"}]', "gen_ai.completion": "hi"},
        {"gen_ai.prompt": "hello", "gen_ai.completion": '[{"role": "assistant", "content": "hi"}]'},
        {
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "hello",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "sys",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "hi",
        },
        {
            "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]',
            "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}]',
        },
    ],
    ids=["json prompt", "json completion", "indexed", "json strings"],
)
def test_spans_of_old_names_are_read(read: Any, old: dict[str, str]) -> None:
    base = {
        "gen_ai.system": "openai",
        "gen_ai.response.model": "m",
        "user.id": "a1",
        "gen_ai.usage.prompt_tokens": 9,
        "gen_ai.usage.completion_tokens": 12,
    }
    rows, rejected = read(spans({"attributes": {**base, **old}}))
    assert rejected == []
    row = rows[0]
    assert (row["prompt"], row["completion"], row["model"], row["account_id"]) == ("hello", "hi", "m", "a1")
    assert (row["input_tokens"], row["output_tokens"], row["end_user_id"], row["access_path"]) == (9, 12, None, "api")


@pytest.mark.parametrize(
    "events",
    [
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": "hello"}),
            ("gen_ai.content.completion", {"gen_ai.completion": "hi"}),
        ],
        [
            ("gen_ai.system.message", {"content": "sys"}),
            ("gen_ai.user.message", {"content": "hello"}),
            ("gen_ai.choice", {"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}),
        ],
        [
            (
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.input.messages": NEW["gen_ai.input.messages"],
                    "gen_ai.output.messages": NEW["gen_ai.output.messages"],
                },
            )
        ],
    ],
    ids=["content events", "message events", "details event"],
)
def test_content_in_span_events_is_read(read: Any, events: list[tuple[str, dict[str, Any]]]) -> None:
    made = [{"name": name, "timeUnixNano": NANOS, "attributes": attributes(plain)} for name, plain in events]
    rows, rejected = read(spans({"attributes": {"gen_ai.request.model": "m", "user.id": "a1"}, "events": made}))
    assert rejected == []
    assert (rows[0]["prompt"], rows[0]["completion"]) == ("hello", "hi")


def test_a_log_record_with_all_details_has_the_id_of_its_span(read: Any) -> None:
    record = {
        "eventName": "gen_ai.client.inference.operation.details",
        "traceId": "AB" * 16,
        "spanId": "0" * 16,
        "attributes": NEW,
    }
    from_log, rejected = read(logs(record))
    from_span, _ = read(spans({"attributes": NEW}))
    assert rejected == []
    assert from_log == from_span


def test_message_records_are_joined_by_their_span(read: Any) -> None:
    ids = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    records = [
        {
            **ids,
            "attributes": {"event.name": "gen_ai.user.message", "user.id": "a1", "gen_ai.request.model": "m"},
            "body": value({"content": "hello"}),
        },
        {
            **ids,
            "attributes": {"event.name": "gen_ai.choice"},
            "body": value({"finish_reason": "stop", "message": {"content": "hi"}}),
        },
        {
            "traceId": "ee" * 16,
            "spanId": "ff" * 8,
            "attributes": {"event.name": "gen_ai.user.message", "user.id": "a2"},
            "body": value("plain"),
        },
    ]
    rows, rejected = read(logs(*records))
    assert rejected == []
    assert [(r["account_id"], r["prompt"], r["completion"], r["finish_reason"]) for r in rows] == [
        ("a1", "hello", "hi", "stop"),
        ("a2", "plain", None, None),
    ]


def test_spans_around_exchanges_and_foreign_spans_are_passed_over(read: Any) -> None:
    around = [
        {"attributes": {"gen_ai.operation.name": name, "user.id": "a1"}}
        for name in ("invoke_agent", "execute_tool", "create_agent")
    ]
    foreign = [{"attributes": {"http.method": "GET"}}, {"attributes": {}}]
    rows, rejected = read(
        spans(*around, *foreign, {"attributes": {"gen_ai.operation.name": "a new one", "user.id": "a1"}})
    )
    assert rejected == []
    assert len(rows) == 1


def test_the_account_may_stand_on_the_resource_and_must_stand_somewhere(read: Any) -> None:
    span = {"attributes": {"gen_ai.request.model": "m"}}
    rows, _ = read(spans(span, resource={"llm.account.id": "a1"}))
    assert rows[0]["account_id"] == "a1"
    rows, rejected = read(spans(span))
    assert rows == []
    assert rejected[0]["reason"].startswith("no account: looked for the attributes llm.account.id, llm.api_key.hash")


def test_failures_are_told_by_the_span(read: Any) -> None:
    base = {"gen_ai.request.model": "m", "user.id": "a1"}
    rows, _ = read(
        spans(
            {"attributes": base, "status": {"code": 2}},
            {"attributes": {**base, "error.type": "timeout"}},
            {"attributes": {**base, "http.response.status_code": 429}},
        )
    )
    assert [row["status"] for row in rows] == ["failure", "timeout", "429"]


def test_vllm_spans_are_read(read: Any) -> None:
    plain = {
        "gen_ai.response.model": "m",
        "gen_ai.request.id": "r1",
        "gen_ai.usage.prompt_tokens": 9,
        "gen_ai.latency.e2e": 0.5,
    }
    rows, _ = read(spans({"name": "llm_request", "attributes": plain}, resource={"llm.account.id": "a1"}))
    assert (rows[0]["model"], rows[0]["input_tokens"]) == ("m", 9)


@pytest.mark.parametrize(
    "bad", [{"resourceSpans": 3}, {"resourceSpans": [3]}, {"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}]
)
def test_a_malformed_request_is_rejected_and_the_next_is_read(read: Any, bad: dict[str, Any]) -> None:
    rows, rejected = read(json.dumps(bad) + "\n" + spans({"attributes": NEW}))
    assert len(rows) == 1
    assert [r["line"] for r in rejected] == [1]


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ({"intValue": "5"}, 5),
        ({"intValue": 5}, 5),
        ({"bytesValue": "aGk="}, "hi"),
        ({"bytesValue": "%"}, None),
        ({}, None),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}}, {"a": False}),
    ],
)
def test_any_value_of_every_kind_is_decoded(encoded: Any, expected: Any) -> None:
    assert any_value(encoded) == expected
