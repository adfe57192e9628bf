"""OpenAI and Anthropic batch files."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.ingest import Key

STARTED = datetime(2026, 3, 2, 12, tzinfo=UTC)
MESSAGES = [{"role": "user", "content": "hello"}]
OPENAI = {
    "custom_id": "r1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "messages": MESSAGES, "user": "u1"},
}
ANTHROPIC = {"custom_id": "r1", "params": {"model": "m", "messages": MESSAGES, "metadata": {"user_id": "u1"}}}


@pytest.mark.parametrize("entry", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_a_batch_line_is_an_exchange(read: Any, key: Key, entry: dict[str, Any]) -> None:
    rows, rejected = read(json.dumps({**entry, "account_id": "a1"}), started_at=STARTED)
    assert rejected == []
    row = rows[0]
    assert (row["account_id"], row["started_at"], row["model"], row["prompt"]) == ("a1", STARTED, "m", "hello")
    assert (row["access_path"], row["end_user_id"]) == ("batch", key.identifier("end_user", "u1"))


@pytest.mark.parametrize("entry", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_without_an_account_of_its_own_the_user_stands_in(read: Any, entry: dict[str, Any]) -> None:
    row = read(json.dumps(entry), started_at=STARTED)[0][0]
    assert (row["account_id"], row["end_user_id"]) == ("u1", None)


@pytest.mark.parametrize("entry", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_without_a_start_the_file_is_rejected_once(read: Any, entry: dict[str, Any]) -> None:
    rows, rejected = read((json.dumps(entry) + "\n") * 5)
    assert rows == []
    assert [(r["line"], "--started-at" in r["reason"]) for r in rejected] == [(None, True)]


@pytest.mark.parametrize("entry", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_reading_a_line_twice_finds_the_same_exchange_and_another_line_another(
    read: Any, entry: dict[str, Any]
) -> None:
    other = {**entry, "custom_id": "r2"}
    rows, _ = read("\n".join(map(json.dumps, (entry, entry, other))), started_at=STARTED)
    ids = [row["exchange_id"] for row in rows]
    assert ids[0] == ids[1] != ids[2]
    later, _ = read(json.dumps(entry), started_at=STARTED.replace(day=3))
    assert later[0]["exchange_id"] not in ids


def test_the_body_that_creates_a_batch_is_read(read: Any) -> None:
    body = {"account_id": "a1", "requests": [ANTHROPIC, {**ANTHROPIC, "custom_id": "r2"}]}
    rows, rejected = read(json.dumps(body, indent=1), started_at=STARTED)
    assert rejected == []
    assert [row["account_id"] for row in rows] == ["a1", "a1"]


@pytest.mark.parametrize("name", ["openai_batch", "anthropic_batch"])
def test_a_malformed_line_is_rejected_with_its_number(read: Any, name: str) -> None:
    good = OPENAI if name == "openai_batch" else ANTHROPIC
    lines = [
        json.dumps(good),
        json.dumps({"custom_id": "x"}),
        json.dumps({**good, "body": 3, "params": 3}),
        json.dumps(good),
    ]
    rows, rejected = read("\n".join(lines), started_at=STARTED)
    assert len(rows) == 2
    assert [r["line"] for r in rejected] == [2, 3]
