import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.ingest import Key

PAYLOAD: dict[str, Any] = {
    "id": "chatcmpl-1",
    "trace_id": "t1",
    "litellm_call_id": "c1",
    "call_type": "acompletion",
    "status": "success",
    "custom_llm_provider": "openai",
    "total_tokens": 33,
    "prompt_tokens": 21,
    "completion_tokens": 12,
    "startTime": 1772452800.25,
    "endTime": 1772452801.0,
    "model": "m-0301",
    "model_group": "m",
    "metadata": {
        "user_api_key_hash": "hash1",
        "user_api_key_user_id": "user1",
        "user_api_key_team_id": "team1",
        "requester_ip_address": "203.0.113.9",
        "user_agent": "sdk/1",
        "requester_metadata": {"team": "x", "headers": {"x-ja4": "t13d", "user-agent": "sdk/2"}},
        "usage_object": {"completion_tokens": 12, "completion_tokens_details": {"reasoning_tokens": 4}},
    },
    "end_user": "u-9",
    "requester_ip_address": "",
    "messages": [{"role": "system", "content": "sys"}, {"role": "user", "content": "hello"}],
    "response": {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"content": "hi", "thinking_blocks": [{"type": "thinking", "signature": "s"}]},
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 11},
    },
    "model_parameters": {"tools": [{"type": "function"}], "temperature": 0},
    "hidden_params": {},
}


def test_every_field_of_the_payload_reaches_its_column(read: Any, key: Key) -> None:
    rows, rejected = read(json.dumps([PAYLOAD]))
    assert rejected == []
    assert rows == [
        {
            "exchange_id": "chatcmpl-1",
            "started_at": datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC),
            "account_id": "hash1",
            "organization_id": "team1",
            "api_key_id": "hash1",
            "end_user_id": key.identifier("end_user", "u-9"),
            "session_id": "t1",
            "access_path": "api",
            "model": "m",
            "client_ip": key.identifier("ip", "203.0.113.9"),
            "client_ip_prefix": key.identifier("ip_prefix", "203.0.113.0/24"),
            "user_agent": "sdk/1",
            "tls_fingerprint": "t13d",
            "system_prompt": "sys",
            "prompt": "hello",
            "completion": "hi",
            "turn_count": 2,
            "tool_count": 1,
            "image_count": 0,
            "input_tokens": 21,
            "output_tokens": 12,
            "reasoning_tokens": 4,
            "finish_reason": "stop",
            "status": "success",
            "metadata": '{"team":"x"}',
            "reasoning_issued": [key.identifier("reasoning", "s")],
            "reasoning_replayed": None,
        }
    ]


@pytest.mark.parametrize("layout", ["array", "lines", "array per line", "pretty"])
def test_every_way_it_is_posted_is_read(read: Any, layout: str) -> None:
    payloads = [{**PAYLOAD, "id": f"c{i}"} for i in range(3)]
    content = {
        "array": json.dumps(payloads),
        "lines": "\n".join(map(json.dumps, payloads)),
        "array per line": json.dumps(payloads[:2]) + "\n" + json.dumps(payloads[2:]) + "\n",
        "pretty": json.dumps(payloads, indent=2),
    }[layout]
    rows, rejected = read(content)
    assert rejected == []
    assert [row["exchange_id"] for row in rows] == ["c0", "c1", "c2"]


def test_the_account_is_the_key_then_the_user(read: Any) -> None:
    without_key = {**PAYLOAD, "metadata": {"user_api_key_user_id": "user1"}}
    top_level = {**PAYLOAD, "metadata": {}, "user": "user2"}
    nobody = {**PAYLOAD, "metadata": None}
    rows, rejected = read("\n".join(map(json.dumps, (without_key, top_level, nobody))))
    assert [row["account_id"] for row in rows] == ["user1", "user2"]
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (3, "no account: looked for metadata.user_api_key_hash, then metadata.user_api_key_user_id, then user")
    ]


def test_a_failed_call_and_withheld_content_are_read_without_them(read: Any) -> None:
    failed = {
        **PAYLOAD,
        "status": "failure",
        "response": None,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "error_str": "boom",
    }
    masked = {
        **PAYLOAD,
        "messages": [{"role": "user", "content": "redacted-by-litellm"}],
        "response": {"text": "redacted-by-litellm"},
    }
    string = {
        **PAYLOAD,
        "messages": "redacted-by-litellm",
        "response": "redacted-by-litellm",
        "metadata": {"user_api_key_hash": "k"},
    }
    rows, rejected = read("\n".join(map(json.dumps, (failed, masked, string))))
    assert rejected == []
    assert (rows[0]["status"], rows[0]["completion"], rows[0]["prompt"]) == ("failure", None, "hello")
    assert [(row["prompt"], row["completion"]) for row in rows[1:]] == [(None, None), (None, None)]


@pytest.mark.parametrize("name", ["metadata", "messages", "response", "hidden_params", "model_parameters"])
@pytest.mark.parametrize("value", [None, "x", 3, [], [1], {}, [None], True])
def test_no_shape_of_a_field_hides_the_request(read: Any, name: str, value: Any) -> None:
    rows, rejected = read(json.dumps({**PAYLOAD, name: value, "user": "user1"}), input_format="litellm")
    assert (len(rows), rejected) == (1, [])


@pytest.mark.parametrize("content", [[{"type": []}], [{"type": "text", "text": {"a": 1}}], {"type": {}}, 7, [None]])
def test_no_content_a_client_may_send_hides_the_request(read: Any, content: Any) -> None:
    rows, rejected = read(json.dumps({**PAYLOAD, "messages": [{"role": "user", "content": content}]}))
    assert (len(rows), rejected) == (1, [])


def test_spend_log_times_are_read_too(read: Any) -> None:
    rows, _ = read(json.dumps({**PAYLOAD, "startTime": "2026-03-02 12:00:00.250000"}))
    assert rows[0]["started_at"] == datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
