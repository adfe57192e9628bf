"""Connections that send no whole request, or read no answer, end by themselves, and those that work are left alone."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from fastapi.responses import Response, StreamingResponse
from tests.server.decisions.serving import TIMEOUT_S, answers, connected, request, served

from stillwatch.server import Service
from stillwatch.server.metrics import closed_connections
from stillwatch.server.settings import Listening

HEAD_S = 0.6
PIECE_BYTES = 1 << 16
MOST_UNREAD_BYTES = 32 << 20  # more than the system keeps of what one connection does not read


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


def answered(port: int, source: str = "127.0.0.1") -> tuple[int, socket.socket]:
    """The status that a new connection from an address is answered with, and the connection."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_S, source_address=(source, 0))
    connection.sendall(request("/healthz", {}))
    return answers(connection, 1)[0][0], connection


def test_one_address_cannot_take_the_connections_of_others(service: Service) -> None:
    limits = Listening(max_connections=10, max_connections_per_address=2)
    with ExitStack() as held, served(replace(service, settings=replace(service.settings, server=limits))) as port:
        first = answered(port)
        held.enter_context(first[1])
        for source, status in (("127.0.0.1", 200), ("127.0.0.1", 503), ("127.0.0.2", 200)):
            told, connection = answered(port, source)
            held.enter_context(connection)
            assert told == status, source
        first[1].close()
        until = time.monotonic() + TIMEOUT_S
        while True:
            status, connection = answered(port)
            held.enter_context(connection)
            if status == 200:
                break
            assert time.monotonic() < until


class Endless:
    """An application that answers for as long as anybody takes it, or with so many bytes."""

    def __init__(self, most_bytes: int = 1 << 40) -> None:
        self.most_bytes, self.sent_bytes = most_bytes, 0
        self.ended = threading.Event()

    async def lines(self) -> AsyncIterator[bytes]:
        try:
            while self.sent_bytes < self.most_bytes:
                yield b"x" * PIECE_BYTES
                await asyncio.sleep(0)
                self.sent_bytes += PIECE_BYTES
        finally:
            self.ended.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(self.lines())(scope, receive, send)


def test_an_answer_that_nobody_reads_is_cut_off_and_what_it_held_is_freed(service: Service) -> None:
    app, before = Endless(), closed("slow_reader")
    limits = Listening(read_timeout_s=0.4)
    with (
        served(replace(service, settings=replace(service.settings, server=limits)), app=app) as port,
        connected(port) as connection,
    ):
        connection.sendall(request("/", {}))
        assert app.ended.wait(TIMEOUT_S)
        assert closed("slow_reader") == before + 1
        assert app.sent_bytes < MOST_UNREAD_BYTES


def test_a_connection_that_is_closed_does_not_wait_for_a_client_that_does_not_read(service: Service) -> None:
    app, before = Endless(MOST_UNREAD_BYTES), closed("slow_reader")

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        await Response(b"x" * app.most_bytes, headers={"Connection": "close"})(scope, receive, send)

    limits = Listening(read_timeout_s=0.4)
    with (
        served(replace(service, settings=replace(service.settings, server=limits)), app=whole) as port,
        connected(port) as connection,
    ):
        connection.sendall(request("/", {}))
        until = time.monotonic() + TIMEOUT_S
        while closed("slow_reader") == before:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_client_that_reads_slowly_and_steadily_gets_its_whole_answer(service: Service) -> None:
    app, before = Endless(MOST_UNREAD_BYTES), closed("slow_reader")
    limits = Listening(read_timeout_s=1.0)
    with (
        served(replace(service, settings=replace(service.settings, server=limits)), app=app) as port,
        connected(port) as connection,
    ):
        connection.sendall(request("/", {"Connection": "close"}))
        got, began = 0, time.monotonic()
        while data := connection.recv(PIECE_BYTES):
            got += len(data)
            if time.monotonic() - began < 3 * limits.read_timeout_s:
                time.sleep(0.02)
    assert got > app.most_bytes
    assert closed("slow_reader") == before


def closed(why: str) -> float:
    """Connections that were ended so far."""
    return float(closed_connections.labels(why)._value.get())
