from datetime import UTC, datetime
from typing import Any

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
BODY = '{"model": "m", "user": "a1", "messages": [{"role": "user", "content": "hello"}]}'
NOISE = '(APIServer pid=1) INFO:     203.0.113.9:51 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
RECEIVED = "INFO 03-02 12:00:00 [logger.py:49] Received request chatcmpl-0a1b2c3d4e: params: SamplingParams(n=1).\n"


def line(body: str = BODY, at: str = "03-02 12:00:00", request: str = "chatcmpl-0a1b2c3d4e") -> str:
    return f"(APIServer pid=1) DEBUG {at} [utils.py:85] Request {request} JSON body: {body}\n"


def test_a_line_with_a_body_is_an_exchange(read: Any) -> None:
    rows, rejected = read(RECEIVED + NOISE + line() + RECEIVED, started_at=STARTED)
    assert rejected == []
    row = rows[0]
    assert (row["exchange_id"], row["account_id"], row["prompt"], row["model"]) == (
        "chatcmpl-0a1b2c3d4e",
        "a1",
        "hello",
        "m",
    )
    assert row["started_at"] == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_without_a_start_the_year_is_missing_unless_the_line_has_it(read: Any) -> None:
    _, rejected = read(line())
    assert "--started-at" in rejected[0]["reason"]
    rows, rejected = read(line(at="2026-03-02 12:00:00.250"))
    assert rejected == []
    assert rows[0]["started_at"] == datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_log_across_new_year_goes_on_in_the_next_year(read: Any) -> None:
    begins = datetime(2025, 12, 31, tzinfo=UTC)
    rows, _ = read(line(at="12-31 23:59:59") + line(at="01-01 00:00:01", request="cmpl-ffffffff01"), started_at=begins)
    assert [row["started_at"].year for row in rows] == [2025, 2026]


def test_a_log_without_bodies_is_rejected_line_by_line(read: Any) -> None:
    rows, rejected = read(NOISE + RECEIVED * 3, started_at=STARTED)
    assert rows == []
    assert [r["line"] for r in rejected] == [2, 3, 4]
    assert "no account" in rejected[0]["reason"]


def test_a_body_that_is_cut_or_odd_is_rejected(read: Any) -> None:
    rows, rejected = read(line() + line('{"model": }') + line('{"messages": [{"role": 3}]}'), started_at=STARTED)
    assert len(rows) == 1
    assert [r["line"] for r in rejected] == [2, 3]
    assert "no account" in rejected[1]["reason"] or "no account" in rejected[0]["reason"]


def test_what_is_no_unique_id_makes_none(read: Any) -> None:
    rows, _ = read(line(request="POST") + line(BODY.replace("hello", "other"), request="POST"), started_at=STARTED)
    assert len({row["exchange_id"] for row in rows}) == 2
