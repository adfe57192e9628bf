import json
from typing import Any

import pytest

ENTRY: dict[str, Any] = {
    "schemaType": "ModelInvocationLog",
    "timestamp": "2026-03-02T12:00:00Z",
    "accountId": "111122223333",
    "identity": {"arn": "arn:aws:iam::111122223333:role/app"},
    "requestId": "r1",
    "operation": "Converse",
    "modelId": "vendor.m-v1:0",
    "requestMetadata": {"team": "x"},
    "input": {
        "inputBodyJson": {"messages": [{"role": "user", "content": [{"text": "hello"}]}]},
        "inputTokenCount": 5,
        "cacheReadInputTokenCount": 100,
        "cacheWriteInputTokenCount": 0,
    },
    "output": {
        "outputBodyJson": {
            "output": {"message": {"content": [{"text": "hi"}]}},
            "stopReason": "end_turn",
            "usage": {"outputTokens": 8},
        },
        "outputTokenCount": 7,
    },
}


def test_an_invocation_reaches_its_columns(read: Any) -> None:
    rows, rejected = read(json.dumps(ENTRY))
    assert rejected == []
    row = rows[0]
    assert (row["exchange_id"], row["account_id"], row["organization_id"]) == (
        "r1",
        "arn:aws:iam::111122223333:role/app",
        "111122223333",
    )
    assert (row["prompt"], row["completion"], row["finish_reason"]) == ("hello", "hi", "end_turn")
    assert (row["input_tokens"], row["output_tokens"]) == (105, 7)
    assert (row["access_path"], row["model"], row["status"], row["metadata"]) == (
        "bedrock",
        "vendor.m-v1:0",
        "success",
        '{"team":"x"}',
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"requestMetadata": {"account_id": "acct-1"}}, "acct-1"),
        (
            {"identity": {"arn": "arn:aws:sts::1:assumed-role/app/botocore-session-1772452800"}},
            "arn:aws:sts::1:assumed-role/app",
        ),
        ({"identity": {"arn": "arn:aws:sts::1:assumed-role/app/1772452800123"}}, "arn:aws:sts::1:assumed-role/app"),
        ({"identity": {"arn": "arn:aws:sts::1:assumed-role/sso/anna"}}, "arn:aws:sts::1:assumed-role/sso/anna"),
        ({"identity": None}, "111122223333"),
    ],
)
def test_the_account_is_the_tag_then_the_principal_then_the_aws_account(
    read: Any, changes: dict[str, Any], expected: str
) -> None:
    assert read(json.dumps({**ENTRY, **changes}))[0][0]["account_id"] == expected


@pytest.mark.parametrize(
    "events",
    [
        [
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "h"}},
            {"delta": {"text": "i"}},
            {"delta": {"type": "signature_delta", "signature": "s"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        ],
        [
            {"contentBlockDelta": {"delta": {"text": "h"}}},
            {"contentBlockDelta": {"delta": {"text": "i"}}},
            7,
            {"messageStop": {"stopReason": "end_turn"}},
        ],
    ],
    ids=["messages", "converse"],
)
def test_a_streamed_answer_is_put_together(read: Any, events: list[Any]) -> None:
    entry = {**ENTRY, "output": {"outputBodyJson": events, "outputTokenCount": 7}}
    row = read(json.dumps(entry))[0][0]
    assert (row["completion"], row["finish_reason"], row["output_tokens"]) == ("hi", "end_turn", 7)


def test_bodies_kept_elsewhere_and_errors_leave_nulls(read: Any) -> None:
    entry = {**ENTRY, "input": {"inputBodyS3Path": "s3://x"}, "output": None, "errorCode": "ThrottlingException"}
    rows, rejected = read(json.dumps(entry))
    assert rejected == []
    assert (rows[0]["prompt"], rows[0]["input_tokens"], rows[0]["status"]) == (None, None, "ThrottlingException")
