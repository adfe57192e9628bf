"""Whose a request is, and how it is made smaller: shorter answers, no log-probabilities, no encrypted reasoning.

Misses: lengths that a provider takes under other names, and Gemini's own routes where the client gives none; how many
        answers are asked for at once (`n`); the lines of a batch file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stillwatch.client import Limits

_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "max_tokens_to_sample")
_LOGPROBS = ("logprobs", "top_logprobs", "responseLogprobs", "response_logprobs", "prompt_logprobs")
_INSIDE = ("extra_body", "generationConfig", "generation_config", "config")  # where clients may hide the same names
_LEAST_THINKING = 1024  # tokens; providers refuse a smaller budget


def account_of(user: Any, data: Any, account: str) -> str | None:
    """The account of a request, as intake reads it from what the proxy logs (ingest/formats/litellm.py)."""
    asked = data.get("user") if isinstance(data, Mapping) else None
    if account == "key":
        is_session = getattr(user, "is_session_token", False) and user.key_alias
        found = (user.key_alias if is_session else user.api_key) or user.user_id or asked
    elif account == "end_user":
        found = getattr(user, "end_user_id", None) or asked
    else:
        found = user.team_id if account == "team" else user.user_id
    return found if isinstance(found, str) else None


def shaped(data: dict[str, Any], limits: Limits, call_type: str) -> None:
    """Make the request smaller, in place."""
    for part in _parts(data):
        if limits.max_output_tokens is not None:
            _shorten(part, limits.max_output_tokens)
        if limits.strip_logprobs:
            for name in _LOGPROBS:
                part.pop(name, None)
        _include_less(part, limits)
    if limits.max_output_tokens is not None and not any(name in data for name in _LENGTHS):
        missing = _length_of(data, call_type)
        if missing:
            data[missing] = limits.max_output_tokens


def _parts(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every place that the gateway reads these names from."""
    waiting = [data]
    fallbacks = data.get("fallbacks")
    waiting += [each for each in fallbacks if isinstance(each, dict)] if isinstance(fallbacks, list) else []
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [part[name] for name in _INSIDE if isinstance(part.get(name), dict)]


def _shorten(part: dict[str, Any], most: int) -> None:
    for name in _LENGTHS:
        asked = part.get(name, most)
        if name in part and not (type(asked) is int and 0 <= asked <= most):
            part[name] = most
    thinking = part.get("thinking")
    if isinstance(thinking, dict) and isinstance(thinking.get("budget_tokens"), int):
        if most <= _LEAST_THINKING:
            del part["thinking"]
        elif thinking["budget_tokens"] >= most:
            part["thinking"] = {**thinking, "budget_tokens": max(_LEAST_THINKING, most // 2)}


def _include_less(part: dict[str, Any], limits: Limits) -> None:
    include = part.get("include")
    if not isinstance(include, list):
        return
    banned = {"message.output_text.logprobs"} if limits.strip_logprobs else set()
    banned |= {"reasoning.encrypted_content"} if limits.reasoning else set()
    part["include"] = [each for each in include if not (isinstance(each, str) and each in banned)]


def _length_of(data: dict[str, Any], call_type: str) -> str | None:
    """What the length of an answer is called where the client did not say one."""
    if "responses" in call_type:
        return "max_output_tokens" if "input" in data else None
    return "max_tokens" if "messages" in data or "prompt" in data else None
