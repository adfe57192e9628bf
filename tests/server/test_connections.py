"""Connections that send no whole request end by themselves, and those that work are left alone."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.server.decisions.serving import TIMEOUT_S, answers, connected, request, served

from stillwatch.server import Service
from stillwatch.server.settings import Listening

HEAD_S = 0.6


@pytest.fixture
def port(service: Service) -> Iterator[int]:
    limits = Listening(header_timeout_s=HEAD_S, max_connections=3)
    with served(replace(service, settings=replace(service.settings, server=limits))) as held:
        yield held


def ended(connection: socket.socket, sends: bytes = b"") -> bytes:
    """What a connection is told until it ends, while it sends some bytes now and then."""
    connection.settimeout(HEAD_S / 6)
    told, until = b"", time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        try:
            got = connection.recv(4096)
        except TimeoutError:
            connection.sendall(sends)
            continue
        except ConnectionError:
            return told
        if not got:
            return told
        told += got
    raise AssertionError("it did not end")


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: here\r\n", b"X-A: b\r\n"),
        (b"GET /v1/decisions/a HTTP/1.1\r\nHost: he", b"r"),
        (b"\r\n", b"\r\n"),
        (request("/healthz", {}), b"\r\n"),
        (request("/healthz", {}) + b"GET /heal", b"t"),
    ],
    ids=[
        "nothing",
        "headers",
        "a header of a fast path",
        "blank lines",
        "blank lines after an answer",
        "a second head",
    ],
)
def test_a_head_that_does_not_come_to_an_end_ends_the_connection(port: int, first: bytes, drip: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(first)
        assert b"HTTP/1.1 408 Request Timeout\r\n" in ended(connection, drip)
    with connected(port) as connection:
        connection.sendall(request("/healthz", {}))
        assert answers(connection, 1)[0][0] == 200


def test_a_request_that_takes_longer_than_its_head_may_is_answered(
    port: int, key_for: Callable[..., dict[str, str]]
) -> None:
    with connected(port) as connection:
        connection.sendall(request("/v1/exchanges", key_for("ingest"), "POST", b"[]")[:-1])
        until = time.monotonic() + 2 * HEAD_S
        connection.settimeout(HEAD_S / 4)
        while time.monotonic() < until:
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(TIMEOUT_S)
        connection.sendall(b"]")
        assert answers(connection, 1)[0][0] == 200


def test_connections_beyond_the_limit_are_turned_away_and_room_comes_back(port: int) -> None:
    held = []
    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        connection.sendall(request("/healthz", {}))
        assert answers(connection, 1)[0][0] == 200
        held.append(connection)
    with connected(port) as fourth:
        assert answers(fourth, 1)[0][0] == 503
    for connection in held:
        connection.close()
    until = time.monotonic() + TIMEOUT_S
    status = 503
    while status == 503 and time.monotonic() < until:
        with connected(port) as again:
            again.sendall(request("/healthz", {}))
            status = answers(again, 1)[0][0]
    assert status == 200
