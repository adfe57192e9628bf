"""LiteLLM's StandardLoggingPayload, as its generic_api callback posts it and as its file loggers write it.

Why:    it is the most used gateway, and this needs no code on its side.
Misses: content it was told not to log (turn_off_message_logging) is null here; a failed call has no answer.
Source: litellm/types/utils.py, class StandardLoggingPayload, as of 1.106.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.documents import Json
from stillwatch.ingest.messages import request_columns, response_columns, usage_columns
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

_SIGNS = frozenset({"litellm_call_id", "custom_llm_provider", "startTime", "call_type", "hidden_params", "model_group"})


def _recognises(head: Head) -> bool:
    return any(len(_SIGNS & document.keys()) >= 3 for document in head.documents)


def _rows(payload: Mapping[str, Any], source: Source) -> Iterable[Row]:
    metadata, hidden = _mapping(payload.get("metadata")), _mapping(payload.get("hidden_params"))
    parameters = _mapping(payload.get("model_parameters"))
    usage = metadata.get("usage_object") or hidden.get("usage_object")
    request = request_columns({**parameters, "messages": payload.get("messages"), "model": None})
    response = response_columns(payload.get("response"))
    yield {
        **request,
        **response,
        **usage_columns(usage),
        "exchange_id": payload.get("id") or payload.get("litellm_call_id"),
        "started_at": payload.get("startTime"),
        "account_id": metadata.get("user_api_key_hash") or metadata.get("user_api_key_user_id") or payload.get("user"),
        "organization_id": metadata.get("user_api_key_org_id") or metadata.get("user_api_key_team_id"),
        "api_key_id": metadata.get("user_api_key_hash"),
        "end_user_id": payload.get("end_user") or metadata.get("user_api_key_end_user_id"),
        "session_id": payload.get("session_id") or payload.get("trace_id"),
        "access_path": "api",
        "model": payload.get("model_group") or payload.get("model"),
        **_client(payload, metadata),
        **_tokens(payload, {**response, **usage_columns(usage)}),
        "status": payload.get("status"),
    }


def _client(payload: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the caller; requester_metadata is JSON the client sent."""
    sent = _mapping(metadata.get("requester_metadata"))
    headers = _mapping(sent.get("headers"))
    fingerprint = _mapping(metadata.get("requester_custom_headers")).get("x-ja4") or headers.get("x-ja4")
    return {
        "client_ip": payload.get("requester_ip_address") or metadata.get("requester_ip_address"),
        "user_agent": payload.get("user_agent") or metadata.get("user_agent") or headers.get("user-agent"),
        "tls_fingerprint": fingerprint,
        "metadata": {name: value for name, value in sent.items() if name != "headers"} or None,
    }


def _tokens(payload: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    """The payload's own counts; it writes 0 where a failed call has none."""
    return {
        "input_tokens": payload.get("prompt_tokens") or usage.get("input_tokens"),
        "output_tokens": payload.get("completion_tokens") or usage.get("output_tokens"),
    }


def _mapping(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


FORMAT = Format(
    name="litellm",
    account_field="metadata.user_api_key_hash, then metadata.user_api_key_user_id, then user",
    clock="startTime",
    recognises=_recognises,
    read=document_reader(_rows),
    rows=_rows,
)
