"""Every log format that carries opaque reasoning fills both columns, under the key of the deployment."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.ingest.formats.test_batches import ANTHROPIC, OPENAI
from tests.ingest.formats.test_bedrock import ENTRY
from tests.ingest.formats.test_litellm import PAYLOAD
from tests.ingest.formats.test_otlp import NEW, spans

from stillwatch.ingest import Key
from stillwatch.ingest.messages import request_columns, response_columns

STARTED = datetime(2026, 7, 1, tzinfo=UTC)
CONVERSATION = [
    {"role": "user", "content": "hello"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "", "signature": "signed"},
            {"type": "redacted_thinking", "data": "sealed"},
            {"type": "text", "text": "hi"},
        ],
    },
    {"role": "user", "content": "go on"},
]
ITEMS = [
    {"role": "user", "content": "hello"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "signed"},
    {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "sealed"},
    {"role": "user", "content": "go on"},
]
ANSWER = {"role": "assistant", "content": CONVERSATION[1]["content"], "stop_reason": "end_turn"}


def expected(key: Key) -> list[str]:
    return [key.identifier("reasoning", name) for name in ("signed", "sealed")]


@pytest.mark.parametrize(
    "entry",
    [
        {**ANTHROPIC, "params": {**ANTHROPIC["params"], "messages": CONVERSATION}},
        {**OPENAI, "url": "/v1/responses", "body": {"model": "m", "input": ITEMS, "user": "u1"}},
    ],
    ids=["anthropic messages", "openai responses"],
)
def test_what_a_batch_request_sends_back_is_replayed(read: Any, key: Key, entry: dict[str, Any]) -> None:
    row = read(json.dumps({**entry, "account_id": "a1"}), started_at=STARTED)[0][0]
    assert (row["reasoning_replayed"], row["reasoning_issued"]) == (expected(key), None)


def litellm_row(read: Any, messages: Any, response: Any) -> dict[str, Any]:
    rows, rejected = read(json.dumps([{**PAYLOAD, "messages": messages, "response": response}]))
    assert rejected == []
    return dict(rows[0])


def test_a_gateway_log_of_chat_completions_fills_both_columns(read: Any, key: Key) -> None:
    said = {"role": "assistant", "content": "hi", "thinking_blocks": CONVERSATION[1]["content"][:2]}
    row = litellm_row(read, [CONVERSATION[0], said, CONVERSATION[2]], {"choices": [{"message": said}]})
    assert row["reasoning_issued"] == row["reasoning_replayed"] == expected(key)


def test_a_gateway_log_of_responses_fills_both_columns(read: Any, key: Key) -> None:
    row = litellm_row(read, ITEMS, {"output": ITEMS[1:3], "status": "completed"})
    assert row["reasoning_issued"] == row["reasoning_replayed"] == expected(key)


def test_spans_fill_both_columns(read: Any, key: Key) -> None:
    parts = [
        {"type": "reasoning", "content": "", "signature": "signed"},
        {"type": "redacted_thinking", "data": "sealed"},
    ]
    said = {"role": "assistant", "parts": parts, "finish_reason": "stop"}
    attributes = {**NEW, "gen_ai.input.messages": [said], "gen_ai.output.messages": [said]}
    row = read(spans({"attributes": attributes}))[0][0]
    assert row["reasoning_issued"] == row["reasoning_replayed"] == expected(key)


@pytest.mark.parametrize(
    "output",
    [
        ANSWER,
        {
            "output": {
                "message": {
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "", "signature": "signed"}}},
                        {"reasoningContent": {"redactedContent": "sealed"}},
                    ]
                }
            }
        },
        [
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "signed"}},
            {"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": "sealed"}},
        ],
        [
            {"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "signed"}}}},
            {"contentBlockDelta": {"delta": {"reasoningContent": {"redactedContent": "sealed"}}}},
        ],
    ],
    ids=["messages", "converse", "streamed messages", "streamed converse"],
)
def test_bedrock_answers_issue_artefacts(read: Any, key: Key, output: Any) -> None:
    row = read(json.dumps({**ENTRY, "output": {"outputBodyJson": output}}))[0][0]
    assert row["reasoning_issued"] == expected(key)


@pytest.mark.parametrize(
    "message",
    [
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "", "signature": "signed"},
                {"type": "reasoning.encrypted", "data": "sealed"},
            ]
        },
        {
            "tool_calls": [
                {"id": "1", "extra_content": {"google": {"thought_signature": "signed"}}},
                {"id": "2", "provider_specific_fields": {"thought_signature": "sealed"}},
            ]
        },
        {"content": CONVERSATION[1]["content"], "thinking_blocks": CONVERSATION[1]["content"][:2]},
        {"parts": [{"functionCall": {}, "thoughtSignature": "signed"}, {"text": "x", "thoughtSignature": "sealed"}]},
    ],
    ids=["details", "tool calls", "twice the same", "gemini"],
)
def test_gateways_own_places_for_artefacts_are_read_once(message: dict[str, Any]) -> None:
    said = {"role": "assistant", **message}
    assert request_columns({"messages": [{"role": "user", "content": "x"}, said]})["reasoning_replayed"] == [
        "signed",
        "sealed",
    ]
    assert response_columns({"choices": [{"message": said}]})["reasoning_issued"] == ["signed", "sealed"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "signature": "of a letter", "data": "x", "encrypted_content": "y"},
        {"type": "image", "data": "base64"},
        {"type": "tool_use", "input": {"signature": "f(x)"}},
        {"type": "thinking", "signature": ""},
        {"type": "reasoning", "encrypted_content": None},
        7,
    ],
)
def test_what_only_looks_like_an_artefact_is_none(block: Any) -> None:
    body = {"messages": [{"role": "assistant", "content": [block]}]}
    assert request_columns(body)["reasoning_replayed"] is None


@pytest.mark.parametrize("name", ["tool_calls", "thinking_blocks", "reasoning_details", "reasoningContent"])
@pytest.mark.parametrize("odd", [7, "x", {"a": 1}, [7, None, {"extra_content": 3, "provider_specific_fields": "x"}]])
def test_an_odd_place_for_artefacts_does_not_hide_the_prompt(name: str, odd: Any) -> None:
    found = request_columns({"messages": [{"role": "user", "content": "hello", name: odd}]})
    assert (found["prompt"], found["reasoning_replayed"]) == ("hello", None)


def test_one_artefact_is_the_same_hash_issued_and_replayed_and_another_under_another_key(read: Any, key: Key) -> None:
    said = {"role": "assistant", "content": "hi", "thinking_blocks": CONVERSATION[1]["content"][:2]}
    row = litellm_row(read, [CONVERSATION[0], said], {"choices": [{"message": said}]})
    assert row["reasoning_issued"] == row["reasoning_replayed"]
    assert row["reasoning_issued"] != expected(Key(b"another key of the tests, 32 bytes"))
    assert not any(name in json.dumps(row, default=str) for name in ("signed", "sealed"))
