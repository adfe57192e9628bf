from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.ingest.messages import request_columns, response_columns, usage_columns

OPENAI = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": "no lists"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "ok", "thinking_blocks": [{"type": "thinking", "signature": "sig1"}]},
        {"role": "user", "content": [{"type": "text", "text": "newest"}, {"type": "image_url", "image_url": {}}]},
    ],
    "tools": [{}, {}],
}
ANTHROPIC = {
    "system": [{"type": "text", "text": "be brief"}],
    "messages": [
        {"role": "user", "content": "newest text"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "…", "signature": "sig2"},
                {"type": "redacted_thinking", "data": "sig3"},
                {"type": "tool_use"},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "content": "42"}, {"type": "image", "source": {}}]},
    ],
}
RESPONSES = {
    "instructions": "be brief",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "newest"}, {"type": "input_image"}]},
        {"type": "reasoning", "encrypted_content": "sig4"},
    ],
}
CONVERSE = {
    "system": [{"text": "be brief"}],
    "messages": [
        {"role": "user", "content": [{"text": "newest"}, {"image": {}}]},
        {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"signature": "sig5"}}}]},
    ],
    "toolConfig": {"tools": [{}]},
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "newest"}, {"inlineData": {}}, {"text": "x", "thoughtSignature": "sig6"}]}
    ],
}
PARTS = {
    "messages": [
        {"role": "user", "parts": [{"type": "text", "content": "newest"}, {"type": "blob", "modality": "image"}]}
    ],
    "system": [{"type": "text", "content": "be brief"}],
}


@pytest.mark.parametrize(
    ("body", "prompt", "turns", "tools", "artefacts"),
    [
        (OPENAI, "newest", 5, 2, ["sig1"]),
        (ANTHROPIC, "newest text", 3, 0, ["sig2", "sig3"]),
        (RESPONSES, "newest", 2, 0, ["sig4"]),
        (CONVERSE, "newest", 2, 1, ["sig5"]),
        (GEMINI, "newest\nx", 1, 0, ["sig6"]),
        (PARTS, "newest", 1, 0, None),
    ],
    ids=["openai", "anthropic", "responses", "converse", "gemini", "parts"],
)
def test_requests_of_every_dialect_are_read(
    body: dict[str, Any], prompt: str, turns: int, tools: int, artefacts: list[str] | None
) -> None:
    found = request_columns(body)
    assert found["prompt"] == prompt
    assert found["system_prompt"] == ("be brief\nno lists" if body is OPENAI else "be brief")
    assert (found["turn_count"], found["tool_count"], found["image_count"]) == (turns, tools, 1)
    assert found["reasoning_replayed"] == artefacts


def test_plain_prompts_are_read() -> None:
    assert request_columns({"prompt": "p"})["prompt"] == "p"
    assert request_columns({"prompt": ["p", "q"]})["prompt"] == "p\nq"
    assert request_columns({"inputText": "p"})["turn_count"] == 1
    assert request_columns({"input": "p"})["prompt"] == "p"
    assert request_columns({"messages": "p"})["prompt"] == "p"


def test_an_empty_request_has_no_counts() -> None:
    assert set(request_columns({}).values()) == {None}


@pytest.mark.parametrize("written", ["redacted-by-litellm", "Redacted by LiteLLM", "", "[REDACTED]"])
def test_withheld_content_is_missing(written: str) -> None:
    assert request_columns({"messages": [{"role": "user", "content": written}]})["prompt"] is None
    assert response_columns({"choices": [{"message": {"content": written}}]})["completion"] is None
    assert response_columns(written)["completion"] is None


@pytest.mark.parametrize(
    ("body", "completion", "reason", "artefacts"),
    [
        ({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, "hi", "stop", None),
        ({"choices": [{"text": "hi", "finish_reason": "length"}]}, "hi", "length", None),
        (
            {
                "content": [{"type": "thinking", "signature": "s"}, {"type": "text", "text": "hi"}],
                "stop_reason": "end_turn",
            },
            "hi",
            "end_turn",
            ["s"],
        ),
        (
            {
                "output": [
                    {"type": "reasoning", "encrypted_content": "s"},
                    {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
                ]
            },
            "hi",
            None,
            ["s"],
        ),
        ({"output": {"message": {"content": [{"text": "hi"}]}}, "stopReason": "end_turn"}, "hi", "end_turn", None),
        ({"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}, "hi", "STOP", None),
        ("hi", "hi", None, None),
        (None, None, None, None),
        ({"choices": []}, None, None, None),
    ],
)
def test_answers_of_every_dialect_are_read(body: Any, completion: Any, reason: Any, artefacts: Any) -> None:
    found = response_columns(body)
    assert (found.get("completion"), found.get("finish_reason"), found.get("reasoning_issued")) == (
        completion,
        reason,
        artefacts,
    )


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 3}}, (5, 7, 3)),
        (
            {
                "input_tokens": 5,
                "output_tokens": 7,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": None,
            },
            (105, 7, None),
        ),
        ({"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}}, (5, 7, 0)),
        ({"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 2}, (7, 7, None)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 3}, (5, 7, 3)),
        ({"prompt_tokens": None}, (None, None, None)),
        ("garbage", (None, None, None)),
    ],
)
def test_usage_of_every_dialect_is_read(usage: Any, expected: tuple[int | None, ...]) -> None:
    found = usage_columns(usage)
    assert (found.get("input_tokens"), found.get("output_tokens"), found.get("reasoning_tokens")) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "parts", "message", "signature", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = [
    "messages",
    "input",
    "contents",
    "system",
    "tools",
    "prompt",
    "choices",
    "output",
    "content",
    "candidates",
    "usage",
]


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_a_body_of_any_shape_is_read_as_far_as_it_goes(body: dict[str, Any]) -> None:
    found = {**request_columns(body), **response_columns(body)}
    assert all(isinstance(found.get(name), str | None) for name in ("prompt", "system_prompt", "completion"))


@pytest.mark.parametrize("part", [{"type": []}, {"type": {}}, 3, None, [[]], {"text": []}])
def test_a_part_of_an_odd_shape_does_not_hide_its_request(part: Any) -> None:
    request_columns({"messages": [{"role": "user", "content": [part]}]})
    response_columns({"choices": [{"message": {"content": [part]}}]})
