"""AWS Bedrock model invocation logs, as they arrive in S3 or CloudWatch.

Why:    campaigns use the clouds' doors too, and the cloud's operator sees only this.
Misses: bodies over 100 KB stand in files of their own and are not followed; there is no client address.
Source: AWS documentation, "Monitor model invocation using CloudWatch Logs and Amazon S3".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.ingest.cells import count
from stillwatch.ingest.documents import Json
from stillwatch.ingest.messages import block_artefacts, request_columns, response_columns
from stillwatch.ingest.readers import Format, Head, Row, Source, document_reader

# A role session named by an SDK is new on each start: kept, every start would be another account.
_SDK_SESSION = re.compile(r"/(botocore-session-\d+|aws-sdk-[\w.-]+|AWSCLI-Session|\d{10,})$")


def _recognises(head: Head) -> bool:
    return any(
        document.get("schemaType") == "ModelInvocationLog" or {"modelId", "requestId", "operation"} <= document.keys()
        for document in head.documents
    )


def _rows(entry: Mapping[str, Any], source: Source) -> Iterable[Row]:
    asked, answered = _mapping(entry.get("input")), _mapping(entry.get("output"))
    tags = _mapping(entry.get("requestMetadata"))
    yield {
        **request_columns(_mapping(asked.get("inputBodyJson"))),
        **_response(answered.get("outputBodyJson")),
        "exchange_id": entry.get("requestId"),
        "started_at": entry.get("timestamp"),
        "account_id": tags.get("account_id") or _principal(entry) or entry.get("accountId"),
        "organization_id": entry.get("accountId"),
        "end_user_id": tags.get("end_user_id"),
        "session_id": tags.get("session_id"),
        "access_path": "bedrock",
        "model": entry.get("modelId"),
        **_tokens(asked, answered),
        "status": entry.get("errorCode") or entry.get("status") or "success",
        "metadata": tags or None,
    }


def _principal(entry: Mapping[str, Any]) -> str | None:
    arn = _mapping(entry.get("identity")).get("arn")
    return _SDK_SESSION.sub("", arn) if isinstance(arn, str) else None


def _response(body: Json) -> dict[str, Any]:
    """A streamed answer is the list of its events; its text is in their deltas."""
    if not isinstance(body, list):
        return response_columns(body)
    events = [event for event in body if isinstance(event, dict)]
    deltas = [_mapping(event.get("delta") or _mapping(event.get("contentBlockDelta")).get("delta")) for event in events]
    begun = [event.get("content_block") for event in events]
    texts = [delta["text"] for delta in deltas if isinstance(delta.get("text"), str)]
    reasons = [
        delta.get("stop_reason") or _mapping(e.get("messageStop")).get("stopReason")
        for delta, e in zip(deltas, events, strict=True)
    ]
    return {
        "completion": "".join(texts) or None,
        "finish_reason": next((reason for reason in reasons if reason), None),
        "reasoning_issued": [found for block in (*deltas, *begun) for found in block_artefacts(block)] or None,
    }


def _tokens(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
    """The log's own counts; what went through the cache was input too."""
    names = ("inputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount")
    parts = [found for found in (count(asked.get(name)) for name in names) if found is not None]
    counts = {"input_tokens": sum(parts) if parts else None, "output_tokens": answered.get("outputTokenCount")}
    return {name: value for name, value in counts.items() if value is not None}


def _mapping(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


FORMAT = Format(
    name="bedrock",
    account_field="requestMetadata.account_id, then identity.arn, then accountId",
    clock="timestamp",
    recognises=_recognises,
    read=document_reader(_rows),
)
