"""What JSON access logs of proxies have in common: fields by any of several names, dashes for nothing, bodies."""

from collections.abc import Mapping
from typing import Any

from stillwatch.ingest.documents import Json, parsed
from stillwatch.ingest.messages import request_columns, response_columns

# Names an operator may give a field in the log format; ours first.
COMMON: Mapping[str, tuple[str, ...]] = {
    "exchange_id": ("request_id", "x-request-id", "x_request_id"),
    "account_id": ("account_id", "x-account-id", "http_x_account_id", "x_account_id", "api_key_hash"),
    "organization_id": ("organization_id", "x-organization-id", "http_x_organization_id"),
    "api_key_id": ("api_key_id", "api_key_hash", "x-api-key-id", "http_x_api_key_id"),
    "end_user_id": ("end_user_id", "x-end-user-id", "http_x_end_user_id"),
    "session_id": ("session_id", "x-session-id", "http_x_session_id"),
    "access_path": ("access_path",),
    "model": (
        "model",
        "gen_ai.request.model",
        "x-ai-eg-model",
        "genai_model_name",
        "http_x_model",
        "gen_ai.response.model",
    ),
    "user_agent": ("user_agent", "user-agent", "http_user_agent"),
    "tls_fingerprint": ("tls_fingerprint", "ja4", "tls_ja4", "x-ja4", "http_x_ja4", "ssl_ja4"),
    "input_tokens": ("input_tokens", "gen_ai.usage.input_tokens", "llm_input_token", "genai_tokens_input"),
    "output_tokens": ("output_tokens", "gen_ai.usage.output_tokens", "llm_output_token", "genai_tokens_output"),
    "reasoning_tokens": ("reasoning_tokens",),
    "status": ("status", "response_code"),
    "finish_reason": ("finish_reason",),
    "metadata": ("metadata",),
}
BODIES = ("request_body", "response_body")


def access_row(entry: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The columns of one access-log entry: those of its bodies where it has them, overruled by its own fields."""
    bodies = [_body(entry.get(name)) for name in BODIES]
    asked = request_columns(bodies[0]) if bodies[0] else {}
    answered = response_columns(bodies[1]) if bodies[1] else {}
    found = {column: field(entry, candidates) for column, candidates in {**COMMON, **names}.items()}
    return {**asked, **answered, **{column: value for column, value in found.items() if value is not None}}


def field(entry: Mapping[str, Any], names: tuple[str, ...]) -> Json:
    """The first of these fields that holds something; proxies write a dash for nothing."""
    return next((entry[name] for name in names if entry.get(name) not in (None, "", "-")), None)


def _body(value: Json) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = parsed(value.encode("utf-8", "replace"))
        except (ValueError, RecursionError):  # cut off by the proxy's limit, or never JSON
            return {}
    return value if isinstance(value, dict) else {}
