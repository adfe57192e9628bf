"""A shaped request asks for no more than it may, wherever the client wrote it; an account is the one intake sees."""

from types import SimpleNamespace
from typing import Any

import pytest

from stillwatch.client import Limits
from stillwatch.gateways.requests import account_of, shaped
from stillwatch.ingest.formats.litellm import _rows

ALL = Limits(None, 64, True, "withhold")
CHAT = {"messages": [{"role": "user", "content": "max_tokens 9999"}]}


def after(data: dict[str, Any], limits: Limits = ALL, call_type: str = "acompletion") -> dict[str, Any]:
    shaped(data, limits, call_type)
    return data


@pytest.mark.parametrize("asked", [65, 10**9, -1, "64", 64.0, None, True, [], float("inf")])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_length_that_is_too_long_or_no_length_becomes_the_limit(name: str, asked: object) -> None:
    assert after({**CHAT, name: asked}) == {**CHAT, name: 64}


@pytest.mark.parametrize("asked", [0, 1, 64])
def test_a_length_within_the_limit_stays(asked: int) -> None:
    assert after({**CHAT, "max_tokens": asked}) == {**CHAT, "max_tokens": asked}


@pytest.mark.parametrize(
    ("data", "call_type", "name"),
    [
        (CHAT, "acompletion", "max_tokens"),
        ({"prompt": "x"}, "atext_completion", "max_tokens"),
        ({"input": "x"}, "aresponses", "max_output_tokens"),
        (CHAT, "anthropic_messages", "max_tokens"),
    ],
)
def test_a_request_that_names_no_length_gets_the_limit(data: dict[str, Any], call_type: str, name: str) -> None:
    assert after(dict(data), call_type=call_type) == {**data, name: 64}


@pytest.mark.parametrize("call_type", ["aembedding", "aget_responses", "agenerate_content"])
def test_what_has_no_length_gets_none(call_type: str) -> None:
    assert after({"model": "m", "contents": []}, call_type=call_type) == {"model": "m", "contents": []}


def test_names_are_found_wherever_the_gateway_reads_them() -> None:
    hidden = {"max_tokens": 9999, "logprobs": True, "top_logprobs": 5}
    data = {
        **CHAT,
        "max_tokens": 10,
        "extra_body": {**hidden, "extra_body": dict(hidden)},
        "fallbacks": ["other", {"model": "big", **hidden, "extra_body": dict(hidden)}],
        "generationConfig": {"maxOutputTokens": 9999, "responseLogprobs": True},
    }
    less = {"max_tokens": 64}
    assert after(data) == {
        **CHAT,
        "max_tokens": 10,
        "extra_body": {**less, "extra_body": less},
        "fallbacks": ["other", {"model": "big", **less, "extra_body": less}],
        "generationConfig": {"maxOutputTokens": 64},
    }


def test_probabilities_and_encrypted_reasoning_are_not_asked_for() -> None:
    include = ["message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results", 7]
    data = after({"input": "x", "top_logprobs": 3, "include": include}, call_type="aresponses")
    assert data == {"input": "x", "include": ["file_search_call.results", 7], "max_output_tokens": 64}


@pytest.mark.parametrize(
    ("most", "budget", "left"), [(64, 5000, None), (4000, 5000, 2000), (1500, 5000, 1024), (4000, 2000, 2000)]
)
def test_thinking_fits_into_the_length(most: int, budget: int, left: int | None) -> None:
    data = {**CHAT, "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": budget}}
    thinking = after(data, Limits(max_output_tokens=most)).get("thinking")
    assert (thinking and thinking["budget_tokens"]) == left


def test_limits_that_are_not_set_change_nothing() -> None:
    data = {**CHAT, "max_tokens": 9999, "logprobs": True, "include": ["reasoning.encrypted_content"]}
    assert after(dict(data), Limits()) == data


@pytest.mark.parametrize("nonsense", [{"extra_body": 5}, {"fallbacks": "x"}, {"include": "x"}, {"thinking": 3}])
def test_nonsense_is_left_to_the_gateway(nonsense: dict[str, Any]) -> None:
    assert after({**CHAT, "max_tokens": 1, **nonsense}) == {**CHAT, "max_tokens": 1, **nonsense}


def user(**more: Any) -> SimpleNamespace:
    known = {"api_key": None, "user_id": None, "team_id": None, "end_user_id": None, "key_alias": None}
    return SimpleNamespace(**{**known, "is_session_token": False, **more})


@pytest.mark.parametrize(
    ("key", "user_id", "asked"), [("hash", "u", "x"), (None, "u", "x"), (None, None, "x"), (None, None, None)]
)
def test_the_account_is_the_one_that_intake_reads_from_the_proxys_log(
    key: str | None, user_id: str | None, asked: str | None
) -> None:
    logged = {"metadata": {"user_api_key_hash": key, "user_api_key_user_id": user_id}, "user": asked}
    (read,) = _rows(logged, None)  # type: ignore[arg-type]  # where a record comes from does not matter here
    assert account_of(user(api_key=key, user_id=user_id), {"user": asked}, "key") == read["account_id"]


@pytest.mark.parametrize(("field", "found"), [("team", "t"), ("user", "u"), ("end_user", "e")])
def test_another_field_can_be_the_account(field: str, found: str) -> None:
    known = user(api_key="hash", user_id="u", team_id="t", end_user_id="e")
    assert account_of(known, {"user": "x"}, field) == found
    assert account_of(user(api_key="hash"), {}, field) is None
