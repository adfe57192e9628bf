"""OpenTelemetry attributes as OTLP JSON writes them, and the many names that GenAI attributes have had.

Why:    the GenAI conventions are in development and emitters of every age are in use at once.
Misses: a name that is in no list here; map it in the collector (attributes processor) to one that is.
Source: open-telemetry/semantic-conventions-genai, docs/gen-ai; OTLP 1.x specification, "JSON Protobuf Encoding".
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from stillwatch.ingest.cells import count
from stillwatch.ingest.documents import Json, parsed

# canonical column -> attribute names, the preferred (newest) first. `llm.*` are ours: there is no convention for them.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "organization_id": ("llm.org.id", "organization.id"),
    "api_key_id": ("llm.api_key.hash",),
    "session_id": ("gen_ai.conversation.id", "session.id"),
    "access_path": ("llm.access_path",),
    "model": ("gen_ai.request.model", "gen_ai.response.model", "llm.request.model", "llm.model_name"),
    "client_ip": ("client.address", "http.client_ip", "net.sock.peer.addr"),
    "user_agent": ("user_agent.original", "http.user_agent"),
    "tls_fingerprint": ("tls.client.ja4",),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
}
ACCOUNTS = ("llm.account.id", "llm.api_key.hash", "enduser.id", "user.id")
END_USERS = ("enduser.pseudo.id", "enduser.id", "user.id")
INPUTS = ("gen_ai.input.messages", "gen_ai.prompt")
OUTPUTS = ("gen_ai.output.messages", "gen_ai.completion")
SYSTEMS = ("gen_ai.system_instructions",)
TOOLS = ("gen_ai.tool.definitions", "gen_ai.request.tools")
STATUSES = ("http.response.status_code", "http.status_code", "error.type")
_PROVIDER_PATHS = (("aws", "bedrock"), ("gcp.vertex", "vertex"), ("vertex", "vertex"), ("az", "azure"))
_INDEXED = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,6})\.(role|content|finish_reason)")


def attributes(entries: Json) -> dict[str, Any]:
    """A list of key and AnyValue as a flat mapping."""
    pairs = entries if isinstance(entries, list) else []
    return {pair["key"]: any_value(pair.get("value")) for pair in pairs if isinstance(pair, dict) and "key" in pair}


def any_value(value: Json) -> Json:
    """An AnyValue as the Python value it stands for. Its 64-bit integers are strings; a negative one is null."""
    if not isinstance(value, dict):
        return value
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if kind in value:
            return value[kind]
    if "intValue" in value:
        return count(value["intValue"])
    if "arrayValue" in value:
        return [any_value(item) for item in (value["arrayValue"] or {}).get("values") or []]
    if "kvlistValue" in value:
        return attributes((value["kvlistValue"] or {}).get("values"))
    if "bytesValue" in value:
        return _from_base64(value["bytesValue"])
    return None


def first(found: Mapping[str, Any], names: tuple[str, ...]) -> Json:
    """The value of the first of these attributes that is there and not empty."""
    return next((found[name] for name in names if found.get(name) not in (None, "", [])), None)


def content(found: Mapping[str, Any], names: tuple[str, ...]) -> Json:
    """Content under one of these names: structured, or JSON in a string, or plain text."""
    value = first(found, names)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return parsed(value.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return value
    return value


def indexed_messages(found: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    """Messages written as one attribute each: gen_ai.prompt.0.role, gen_ai.prompt.0.content and so on, in order."""
    messages: dict[int, dict[str, Any]] = {}
    for name, value in found.items():
        match = _INDEXED.fullmatch(name)
        if match and match[1] == part:
            messages.setdefault(int(match[2]), {})[match[3]] = value
    return [messages[index] for index in sorted(messages)]


def access_path(found: Mapping[str, Any]) -> str:
    """Which way in: a cloud's, told from the provider's name, or the plain API."""
    provider = str(first(found, ("gen_ai.provider.name", "gen_ai.system")) or "")
    return next((path for start, path in _PROVIDER_PATHS if provider.startswith(start)), "api")


def _from_base64(value: Json) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        return None
