"""The fast path tells what the route tells, byte for byte, however requests arrive."""

import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.server.decisions.conftest import campaign, recommended
from tests.server.decisions.serving import answers, connected, request, served

from stillwatch.server import Service, failures
from stillwatch.server.decisions import fast, routes
from stillwatch.server.decisions.answers import TIMED_ONE_IN, Answers

Keys = Callable[..., dict[str, str]]
NAMED = ["a", "b-1", "with space", "100%", "a/b", "ü-ß-漢", 'quo"te', "x:y@z", "snapshot", "deltas", "bulk", "."]


@pytest.fixture
def key(service: Service, key_for: Keys, reconciled: Callable[..., Any]) -> dict[str, str]:
    """A key of a gateway, in a service that has decided about some accounts."""
    reconciled(campaign(recommended("throttle", NAMED), recommended("suspend", ["proposed"])))
    service.snapshot.act_on(["throttle"])
    return key_for("enforcer")


@pytest.fixture
def port(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(failures, "ALLOWED", 1_000)  # wrong keys are part of these tests
    with served(service) as held:
        yield held


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Accounts that were answered fast."""
    found: list[bytes] = []
    reply = fast._Fast._reply

    def counted(self: Any, account_id: bytes, headers: bytes) -> bytes | None:
        told = reply(self, account_id, headers)
        if told is not None:
            found.append(account_id)
        return told

    monkeypatch.setattr(fast._Fast, "_reply", counted)
    return found


def warmed(port: int, key: dict[str, str]) -> None:
    """Ask until the key is known to the fast path, which it is once an answer of its kind was seen."""
    with connected(port) as connection:
        connection.sendall(request("/v1/decisions/warm", key))
        assert answers(connection, 1)[0][0] == 200


def is_warm(seen: list[bytes], port: int, key: dict[str, str]) -> None:
    for _ in range(200):
        warmed(port, key)
        if seen:
            seen.clear()
            return
    raise AssertionError("the fast path answers nothing")


ODD = [
    request(path, {})
    for path in (
        "/v1/decisions/a",
        "/v1/decisions/unknown",
        "/v1/decisions/proposed",
        "/v1/decisions/with%20space",
        "/v1/decisions/100%25",
        "/v1/decisions/100%2525",
        "/v1/decisions/a%2Fb",
        "/v1/decisions/a%2fb",
        "/v1/decisions/%C3%BC-%C3%9F-%E6%BC%A2",
        "/v1/decisions/%FF%FE",
        "/v1/decisions/quo%22te",
        "/v1/decisions/x:y@z",
        "/v1/decisions/%00",
        "/v1/decisions/a%0A",
        "/v1/decisions/.",
        "/v1/decisions/bulk",
        "/v1/decisions/%62ulk",
        "/v1/decisions/a?since=1",
        "/v1/decisions/a?",
        "/v1/decisions/a/",
        "/v1/decisions/",
        "/v1/decisions//a",
        "/v1/decisions",
        "/v1/decisions/a;b",
        "/v1/decisions/a+b",
        "/v1/decisions/" + "l" * 4_000,
        "/v1/decisions/a/approve",
        "/V1/decisions/a",
        "/v1/Decisions/a",
        "http://here/v1/decisions/a",
    )
]
ODD_HEADERS: list[dict[str, str]] = [
    {},
    {"Connection": "keep-alive"},
    {"Content-Length": "0"},
    {"X-Long": "x" * 9_000},
    {"Accept-Encoding": "gzip", "If-None-Match": "*"},
    {"X-Latin": "caf\xe9"},
    {"X-Empty": ""},
    {"TE": "trailers"},
    {"Upgrade": "h2c"},
]


def with_key(plain: bytes, key: dict[str, str], extra: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**key, **extra}.items())
    return plain[:-2] + lines.encode("latin-1") + b"\r\n"


def test_odd_requests_are_answered_alike_both_ways(
    service: Service, port: int, key: dict[str, str], seen: list[bytes]
) -> None:
    is_warm(seen, port, key)
    asked = [with_key(plain, key, extra) for plain in ODD for extra in ODD_HEADERS]
    with served(service, is_fast=False) as plain_port:
        for one in asked:
            with connected(port) as quick, connected(plain_port) as plain:
                quick.sendall(one)
                plain.sendall(one)
                assert answers(quick, 1) == answers(plain, 1), one[:200]
    assert len(seen) > 50
    assert {b"a", b"with%20space", b"%C3%BC-%C3%9F-%E6%BC%A2", b"100%2525", b"%00", b"bulk"} <= set(seen)


def test_head_is_answered_alike_and_without_a_body(
    service: Service, port: int, key: dict[str, str], seen: list[bytes]
) -> None:
    is_warm(seen, port, key)
    with served(service, is_fast=False) as plain_port, connected(port) as quick, connected(plain_port) as plain:
        told = []
        for connection in (quick, plain):
            connection.sendall(request("/v1/decisions/a", key, "HEAD"))
            told.append(answers(connection, 1, is_head=True))
            connection.sendall(request("/v1/decisions/a", key))
            told[-1] += answers(connection, 1)
    assert told[0] == told[1]
    assert told[0][0][1]["content-length"] == str(len(told[0][1][2]))
    assert seen == [b"a", b"a"]


@pytest.mark.parametrize("size", [1, 7, 40, 200])
def test_split_packets_are_answered_alike(port: int, key: dict[str, str], seen: list[bytes], size: int) -> None:
    is_warm(seen, port, key)
    asked = [request(f"/v1/decisions/{name}", key) for name in ("a", "b-1", "unknown", "a")]
    with connected(port) as whole, connected(port) as split:
        whole.sendall(b"".join(asked))
        sent = b"".join(asked)
        for start in range(0, len(sent), size):
            split.sendall(sent[start : start + size])
        assert answers(split, 4) == answers(whole, 4)


def test_pipelined_mixes_are_answered_in_order(
    port: int, key: dict[str, str], key_for: Keys, seen: list[bytes]
) -> None:
    is_warm(seen, port, key)
    both = {**key_for("enforcer", "analyst")}
    choose = random.Random(5)
    kinds = {
        "fast": (request("/v1/decisions/a", key), 200, b'"account_id":"a"'),
        "other key": (request("/v1/decisions/b-1", both), 200, b'"account_id":"b-1"'),
        "slow": (request("/v1/decisions?limit=1", both), 200, b'{"decisions":[{'),
        "bulk": (
            request(
                "/v1/decisions/bulk", {**key, "Content-Type": "application/json"}, "POST", b'{"account_ids":["q"]}'
            ),
            200,
            b'{"decisions":[{"account_id":"q"',
        ),
        "lost": (request("/nowhere", key), 404, b"Not Found"),
        "wrong role": (request("/v1/decisions/a", key_for("ingest")), 403, b"needs the role"),
    }
    with connected(port) as connection:
        for _ in range(30):
            names = choose.choices(list(kinds), [9, 2, 1, 1, 1, 1], k=8)
            sent = b"".join(kinds[name][0] for name in names)
            cut = choose.randrange(len(sent))
            connection.sendall(sent[:cut])
            connection.sendall(sent[cut:])
            told = answers(connection, len(names))
            assert [status for status, _, _ in told] == [kinds[name][1] for name in names]
            assert all(kinds[name][2] in body for name, (_, _, body) in zip(names, told, strict=True))
    assert 20 < len(seen) < 200


def test_without_a_key_401_without_the_role_403(port: int, key_for: Keys) -> None:
    with connected(port) as connection:
        for headers, status in (({}, 401), ({"X-API-Key": "sw_x"}, 401), (key_for("analyst", "ingest"), 403)):
            for _ in range(3):
                connection.sendall(request("/v1/decisions/a", headers))
                told = answers(connection, 1)[0]
                assert (told[0], "www-authenticate" in told[1]) == (status, status == 401)


def test_two_keys_at_once_are_judged_by_the_route(port: int, key: dict[str, str], seen: list[bytes]) -> None:
    is_warm(seen, port, key)
    twice = request("/v1/decisions/a", {"authorization": "Bearer sw_no", **key})
    with connected(port) as connection:
        connection.sendall(twice)
        assert (answers(connection, 1)[0][0], seen) == (401, [])


def test_a_gateway_with_a_namespace_sees_its_own_accounts_only(
    service: Service, port: int, key_for: Keys, reconciled: Callable[..., Any], seen: list[bytes]
) -> None:
    reconciled(campaign(recommended("throttle", ["acme:1", "other:1", "1"])))
    key = key_for("enforcer", namespace="acme")
    is_warm(seen, port, key)
    with connected(port) as connection:
        for asked, found in (("1", True), ("other:1", False), ("acme:1", False)):
            connection.sendall(request(f"/v1/decisions/{asked}", key))
            body = answers(connection, 1)[0][2]
            assert (f'"account_id":"{asked}"'.encode() in body, b'"shadow":"throttle"' in body) == (True, found)
    assert len(seen) == 3


def test_an_idle_connection_is_closed_and_one_in_use_is_not(service: Service, key: dict[str, str]) -> None:
    with served(service, timeout_keep_alive=1) as port, connected(port) as idle, connected(port) as busy:
        idle.sendall(request("/v1/decisions/a", key))
        assert answers(idle, 1)[0][0] == 200
        closed = False
        while not closed:  # the other one asks on and on until the idle one is closed
            busy.sendall(request("/v1/decisions/a", key))
            assert answers(busy, 1)[0][0] == 200
            idle.settimeout(0.01)
            try:
                closed = idle.recv(1) == b""
            except TimeoutError:
                continue
        busy.sendall(request("/v1/decisions/a", key))
        assert answers(busy, 1)[0][0] == 200


def test_a_connection_closes_when_it_is_asked_to(port: int, key: dict[str, str], seen: list[bytes]) -> None:
    is_warm(seen, port, key)
    with connected(port) as connection:
        connection.sendall(request("/v1/decisions/a", {**key, "Connection": "close"}))
        assert [status for status, _, _ in answers(connection, 2)] == [200]


def test_garbage_after_fast_answers_is_refused(port: int, key: dict[str, str], seen: list[bytes]) -> None:
    is_warm(seen, port, key)
    with connected(port) as connection:
        connection.sendall(request("/v1/decisions/a", key) + b"\x16\x03\x01 no http\r\n\r\n")
        assert [status for status, _, _ in answers(connection, 3)] == [200, 400]


def test_a_fast_request_behind_a_slow_one_waits_for_its_turn(
    port: int, key: dict[str, str], key_for: Keys, seen: list[bytes]
) -> None:
    is_warm(seen, port, key)
    analyst = key_for("analyst")
    with connected(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(30):
            connection.sendall(request("/v1/decisions?limit=1", analyst))  # asks the database
            connection.sendall(request("/v1/decisions/a", key))
            assert [body[:13] for _, _, body in answers(connection, 2)] == [b'{"decisions":', b'{"account_id"']


SMUGGLED = "GET /v1/decisions/smuggled HTTP/1.1\r\nHost: here\r\n"


def test_a_body_that_looks_like_a_request_is_a_body(port: int, key: dict[str, str], seen: list[bytes]) -> None:
    is_warm(seen, port, key)
    body = with_key((SMUGGLED + "\r\n").encode(), key, {})
    whole = request("/nowhere", key, "POST", body)
    with connected(port) as connection:
        for _ in range(5):
            connection.sendall(whole[: -len(body)])
            assert answers(connection, 1)[0][0] == 404  # before the body is there
            connection.sendall(body)
            connection.sendall(request("/v1/decisions/a", key))
            assert [body[:17] for _, _, body in answers(connection, 1)] == [b'{"account_id":"a"']
    assert b"smuggled" not in seen


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        ([b"%(a)s%(length)s\r\nhello", b"%(a)s\r\n"], 2),
        ([b"%(a)s%(length)s\r\nhello%(a)s\r\n"], 2),
        ([b"%(a)s%(chunked)s\r\n5\r\nhello\r\n0\r\n\r\n%(a)s\r\n"], 2),
        ([b"%(a)s%(chunked)s\r\n%(hex)s\r\n%(smuggled)s\r\n0\r\n\r\n", b"%(a)s\r\n"], 2),
        ([b"%(a)s%(chunked)s%(length)s\r\n5\r\nhello\r\n0\r\n\r\n"], 1),
        ([b"%(a)sX: y\r\n", b"%(a)s\r\n"], 1),
        ([b"%(a)s folded\r\n\r\n"], 1),
        ([b"%(a)sX : y\r\n\r\n"], 1),
        ([b"%(a)sX\r\n\r\n"], 1),
        ([b"%(a)s: y\r\n\r\n"], 1),
        ([b"%(a)sX: a\x00b\r\n\r\n"], 1),
        ([b"%(a)sX: a\rb\r\n\r\n"], 1),
        ([b"%(a)sX: y\n\r\n"], 1),
        ([b"\r\n\r\n%(a)s\r\n"], 1),
        ([b"%(a)sConnection: close\r\n\r\n%(a)s\r\n"], 1),
        ([b"%(a)sConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n"], 1),
        ([b"%(a)sExpect: 100-continue\r\n\r\n"], 1),
        ([b"%(old)s\r\n"], 1),
        ([b"%(a)sContent-Length: 0\r\n\r\n%(a)s\r\n"], 2),
    ],
    ids=range(19),
)
def test_what_only_a_parser_can_judge_is_judged_alike(
    service: Service, key: dict[str, str], seen: list[bytes], sent: list[bytes], count: int
) -> None:
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in key.items())
    smuggled = SMUGGLED.encode() + lines + b"\r\n"
    words = {
        b"a": b"GET /v1/decisions/a HTTP/1.1\r\n" + lines,
        b"old": b"GET /v1/decisions/a HTTP/1.0\r\n" + lines,
        b"length": b"Content-Length: 5\r\n",
        b"chunked": b"Transfer-Encoding: chunked\r\n",
        b"smuggled": smuggled,
        b"hex": b"%x" % len(smuggled),
    }
    told = []
    with served(service) as port, served(service, is_fast=False) as plain_port:
        is_warm(seen, port, key)
        for one in (port, plain_port):
            with connected(one) as connection:
                for packet in sent:
                    connection.sendall(packet % words)
                told.append(answers(connection, count))
    assert told[0] == told[1]
    assert len(told[0]) == count
    assert b"smuggled" not in seen


def test_answers_are_counted_by_what_they_tell_on_either_way(
    port: int, key: dict[str, str], seen: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Answers()
    is_warm(seen, port, key)
    counts.reads = TIMED_ONE_IN - 1  # the next one is timed
    monkeypatch.setattr(fast, "ANSWERS", counts)
    monkeypatch.setattr(routes, "ANSWERS", counts)
    with connected(port) as connection:
        connection.sendall(b"".join(request(f"/v1/decisions/{one}", key) for one in ("a", "nobody", "b-1")))
        answers(connection, 3)
        connection.sendall(request("/v1/decisions/a?slow", key))
        answers(connection, 1)
    read = {(s.name, *s.labels.values()): s.value for family in counts.collect() for s in family.samples}
    name = "stillwatch_decision_answers_total"
    assert {told: read[told] for told in read if told[0] == name} == {
        (name, "none", "none"): 1,
        (name, "throttle", "none"): 3,
    }
    assert read["stillwatch_decision_seconds_bucket", "+Inf"] == 3
    assert 0 < read["stillwatch_decision_seconds_sum",] < 60
