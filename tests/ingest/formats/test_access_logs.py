"""Envoy and nginx, which share most of their reading."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.ingest import Key

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENVOY = {
    "start_time": "2026-03-02T12:00:00.000Z",
    "response_code": 200,
    "response_flags": "-",
    "response_code_details": "via_upstream",
    "downstream_remote_address": "203.0.113.9:4711",
    "x-forwarded-for": "6.6.6.6, 203.0.113.9",
    "user-agent": "sdk/1",
    "x-request-id": "r1",
    "ja4": "t13d",
    "account_id": "a1",
    "organization_id": "-",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": "12",
}
NGINX = {
    "time_iso8601": "2026-03-02T13:00:02+01:00",
    "msec": "1772452802.500",
    "request_time": "2.500",
    "remote_addr": "203.0.113.9",
    "remote_user": "-",
    "http_x_account_id": "a1",
    "http_x_forwarded_for": "6.6.6.6",
    "request_id": "r1",
    "status": "200",
    "http_user_agent": "sdk/1",
    "model": "m",
}


@pytest.mark.parametrize("entry", [ENVOY, NGINX], ids=["envoy", "nginx"])
def test_both_proxies_fill_the_same_columns(read: Any, key: Key, entry: dict[str, Any]) -> None:
    rows, rejected = read(json.dumps(entry) + "\n")
    assert rejected == []
    row = rows[0]
    assert (row["exchange_id"], row["started_at"], row["account_id"], row["model"]) == ("r1", NOON, "a1", "m")
    assert row["client_ip"] == key.identifier("ip", "203.0.113.9")
    assert (row["user_agent"], row["status"], row["organization_id"]) == ("sdk/1", "200", None)


def test_envoy_tokens_and_fingerprint_are_read(read: Any) -> None:
    row = read(json.dumps(ENVOY))[0][0]
    assert (row["input_tokens"], row["output_tokens"], row["tls_fingerprint"]) == (9, 12, "t13d")


def test_of_forwarded_addresses_the_last_counts_and_only_without_a_peer(read: Any, key: Key) -> None:
    entry = {**ENVOY, "downstream_remote_address": "-", "x-forwarded-for": "6.6.6.6, 198.51.100.1"}
    assert read(json.dumps(entry))[0][0]["client_ip"] == key.identifier("ip", "198.51.100.1")
    without = {name: cell for name, cell in NGINX.items() if name != "remote_addr"}
    rows, _ = read(json.dumps(without), input_format="nginx")
    assert rows[0]["client_ip"] is None


@pytest.mark.parametrize("name", ["envoy", "nginx"])
def test_a_log_without_accounts_says_what_it_must_carry(read: Any, name: str) -> None:
    entry = {k: v for k, v in (ENVOY if name == "envoy" else NGINX).items() if "account" not in k}
    rows, rejected = read(json.dumps(entry))
    assert rows == []
    assert "account_id" in rejected[0]["reason"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, NOON),
        ({"request_time": None}, NOON.replace(second=2, microsecond=500_000)),
        ({"request_time": "-"}, NOON.replace(second=2, microsecond=500_000)),
        ({"msec": None, "request_time": "2.0"}, NOON),
        ({"msec": None, "time_iso8601": None, "time_local": "02/Mar/2026:13:00:02 +0100", "request_time": 2}, NOON),
    ],
)
def test_the_time_of_nginx_is_when_the_request_arrived(read: Any, changes: dict[str, Any], expected: datetime) -> None:
    rows, rejected = read(json.dumps({**NGINX, **changes}))
    assert rejected == []
    assert rows[0]["started_at"] == expected


def test_logged_bodies_give_prompt_and_answer(read: Any) -> None:
    request = {"model": "m2", "messages": [{"role": "user", "content": "hello"}]}
    response = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    entry = {**NGINX, "model": "-", "request_body": json.dumps(request), "response_body": response}
    row = read(json.dumps(entry))[0][0]
    assert (row["prompt"], row["completion"], row["finish_reason"]) == ("hello", "hi", "stop")
    assert (row["model"], row["input_tokens"]) == ("m2", 3)


def test_a_body_cut_off_by_the_proxy_costs_only_itself(read: Any) -> None:
    rows, rejected = read(json.dumps({**NGINX, "request_body": '{"model": "m", "messages": [{"ro'}))
    assert rejected == []
    assert (rows[0]["prompt"], rows[0]["model"]) == (None, "m")
