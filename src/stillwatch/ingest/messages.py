"""Chat requests and answers in the dialects of the field, read into the columns of an exchange.

Read: OpenAI chat completions, completions and responses; Anthropic messages; Bedrock Converse; Gemini; the message
parts of OpenTelemetry. Every reader takes what it is given and returns null for what it does not find.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stillwatch.ingest.cells import count
from stillwatch.ingest.documents import ODD_SHAPE, Json

# What a gateway writes in place of content it was told not to log.
_WITHHELD = frozenset({"redacted-by-litellm", "redacted by litellm", "[redacted]", "redacted"})
_IMAGES = frozenset({"image", "image_url", "input_image", "inline_data", "inlineData"})
_SIGNED = frozenset({"thinking", "reasoning", "reasoning.text", "signature_delta"})
_SEALED = frozenset({"redacted_thinking", "reasoning.encrypted"})
_PLAIN_TURN, _PLAIN_PART = frozenset({"role", "content", "parts"}), frozenset({"type", "text", "content"})
_TEXTS = frozenset({"text", "input_text", "output_text", None})
_USAGE = {
    "input_tokens": ("prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount"),
    "output_tokens": ("completion_tokens", "output_tokens", "outputTokens", "candidatesTokenCount"),
}
_CACHE_PARTS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)


def request_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    """Prompt, system prompt and counts of a request body.

    A body of a shape nobody foresaw has none: clients write it, and must not be able to hide the request with it.
    """
    try:
        return _request_columns(body)
    except ODD_SHAPE:
        return {}


def response_columns(body: Json) -> dict[str, Any]:
    """Completion, finish reason, token counts and reasoning artefacts of a response body; likewise."""
    if not isinstance(body, dict):
        return {"completion": _text(body)} if isinstance(body, str) else {}
    try:
        return _response_columns(body)
    except ODD_SHAPE:
        return {}


def _request_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    turns = _turns(body)
    richer = [turn for turn in turns if not _is_plain(turn)]
    users = [turn for turn in turns if turn.get("role") in ("user", "human")]
    systems = [turn.get("content") for turn in turns if turn.get("role") in ("system", "developer")]
    instructions = (body.get("system"), body.get("instructions"), _gemini_system(body), *systems)
    system = [_text(part) for part in instructions if part is not None]
    texts = (_text(turn.get("content", turn.get("parts"))) for turn in reversed(users))
    tools = body.get("tools") or body.get("functions") or (body.get("toolConfig") or {}).get("tools")
    plain = body.get("prompt") or body.get("inputText")
    return {
        "model": body.get("model"),
        "prompt": next((found for found in texts if found), None) or _text(plain),
        "system_prompt": "\n".join(part for part in system if part) or None,
        "turn_count": len(turns) or (1 if plain else None),
        "tool_count": len(tools) if isinstance(tools, list) else 0 if turns else None,
        "image_count": sum(_images(turn.get("content", turn.get("parts"))) for turn in richer) if turns else None,
        "reasoning_replayed": [artefact for turn in richer for artefact in _artefacts(turn)] or None,
    }


def _response_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    answers = list(_answers(body))
    texts = [_text(answer.get("content", answer.get("parts"))) or answer.get("text") for answer in answers]
    return {
        "completion": "\n".join(text for text in texts if isinstance(text, str) and text) or None,
        "finish_reason": _finish_reason(body),
        "reasoning_issued": [artefact for answer in answers for artefact in _artefacts(answer)] or None,
        **usage_columns(body.get("usage") or body.get("usageMetadata")),
    }


def usage_columns(usage: Json) -> dict[str, Any]:
    """Token counts of a usage object; tokens read from or written to a cache are input too."""
    if not isinstance(usage, dict):
        return {}
    found: dict[str, Any] = {
        ours: next((usage[name] for name in theirs if usage.get(name) is not None), None)
        for ours, theirs in _USAGE.items()
    }
    if "prompt_tokens" not in usage and found["input_tokens"] is not None:
        parts = [count(found["input_tokens"]), *(count(usage.get(name)) for name in _CACHE_PARTS)]
        found["input_tokens"] = sum(part for part in parts if part)
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    found["reasoning_tokens"] = usage.get("thoughtsTokenCount") if reasoning is None else reasoning
    return {name: value for name, value in found.items() if value is not None}


def _turns(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for name in ("messages", "input", "contents"):
        turns = body.get(name)
        if isinstance(turns, str) and turns:
            return [{"role": "user", "content": turns}]
        if isinstance(turns, dict):
            turns = turns.get("messages")
        if isinstance(turns, list) and turns:
            return [turn if isinstance(turn, dict) else {"role": "user", "content": turn} for turn in turns]
    return []


def _is_plain(turn: Mapping[str, Any]) -> bool:
    """Whether a turn is text and nothing else, as most are: it need not be searched for images and artefacts."""
    if not turn.keys() <= _PLAIN_TURN:
        return False
    content = turn.get("content", turn.get("parts"))
    if not isinstance(content, list):
        return isinstance(content, str)
    return all(isinstance(p, dict) and p.keys() <= _PLAIN_PART and p.get("type") == "text" for p in content)


def _gemini_system(body: Mapping[str, Any]) -> Json:
    found = body.get("systemInstruction") or body.get("system_instruction")
    return found.get("parts") if isinstance(found, dict) else found


def _text(content: Json) -> str | None:
    """The text of a message's content: a string, or the text parts of a list, one per line."""
    if isinstance(content, str):
        return None if content.strip().lower() in _WITHHELD else content or None
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    parts = [_part_text(part) for part in content]
    return "\n".join(part for part in parts if part) or None


def _part_text(part: Json) -> str | None:
    if isinstance(part, str):
        return _text(part)
    if not isinstance(part, dict) or part.get("type") not in _TEXTS:
        return None
    found = part.get("text") or part.get("content")
    return _text(found) if isinstance(found, str) else None


def _images(content: Json) -> int:
    if not isinstance(content, list):
        return 0
    parts = [part for part in content if isinstance(part, dict)]
    return sum(
        part.get("type") in _IMAGES or part.get("modality") == "image" or any(name in part for name in _IMAGES)
        for part in parts
    )


def _answers(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The messages of an answer, whatever envelope they came in."""
    if isinstance(body.get("content"), list | str):
        yield {"content": body["content"]}
    inner = body.get("output")
    inner = inner.get("message") if isinstance(inner, dict) else inner
    candidates = [
        *(body.get("choices") or []),
        *(body.get("candidates") or []),
        *(inner if isinstance(inner, list) else [inner]),
    ]
    for choice in candidates:
        if isinstance(choice, dict):
            message = choice.get("message") or choice.get("delta")
            gemini = choice.get("content") if isinstance(choice.get("content"), dict) else None
            found = message or gemini or choice
            if isinstance(found, dict):
                yield found


def _finish_reason(body: Mapping[str, Any]) -> Json:
    choices = body.get("choices") or body.get("candidates")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    names = ("finish_reason", "finishReason", "stop_reason", "stopReason")
    return next((place[name] for place in (first, body) for name in names if place.get(name)), None)


def _artefacts(message: Mapping[str, Any]) -> Iterator[str]:
    """Opaque reasoning of a message: of itself, its blocks and its tool calls, each piece once."""
    content = message.get("content", message.get("parts"))
    lists = [content, message.get("thinking_blocks"), message.get("reasoning_details"), _call_extras(message)]
    blocks = [message, *(block for blocks in lists if isinstance(blocks, list) for block in blocks)]
    yield from dict.fromkeys(found for block in blocks for found in block_artefacts(block))


def _call_extras(message: Mapping[str, Any]) -> list[Json]:
    """What gateways hang on tool calls because their provider's message has no room for it."""
    calls = message.get("tool_calls")
    known = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    extras = [call.get("extra_content") for call in known]
    google = [extra.get("google") for extra in extras if isinstance(extra, dict)]
    return [*google, *(call.get("provider_specific_fields") for call in known)]


def block_artefacts(block: Json) -> Iterator[str]:
    """Opaque reasoning that one block holds: a signature, encrypted content, redacted thinking."""
    if not isinstance(block, dict):
        return
    kind, inner = block.get("type"), block.get("reasoningContent")
    bedrock = inner if isinstance(inner, dict) else {}
    signed = bedrock.get("reasoningText")
    found = [
        block.get("signature") if kind in _SIGNED else None,
        block.get("data") if kind in _SEALED else None,
        block.get("encrypted_content") if kind == "reasoning" else None,
        block.get("thoughtSignature", block.get("thought_signature")),
        (signed if isinstance(signed, dict) else bedrock).get("signature"),
        bedrock.get("redactedContent"),
    ]
    yield from (artefact for artefact in found if isinstance(artefact, str) and artefact)
