"""Bodies that come too slowly or not to their end cost their sender the request and nobody else anything."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import NOON, Clock
from tests.server.decisions.serving import answers, connected, request, served
from tests.server.intake import bodies

from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.settings import Storing, Taking

Message = dict[str, Any]


@pytest.fixture
def hasty(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """A service that does not wait long for bodies."""
    settings = ServerSettings(storage=Storing(state=tmp_path / "state"), intake=Taking(body_timeout_s=0.05))
    with opened(settings, now=clock) as held:
        yield held


def replied(service: Service, receive: Callable[[], Awaitable[Message]]) -> list[Message]:
    """What the application sends when a body comes like that."""
    key = made_key(service.database, name="k", roles=["ingest"], by="t", now=NOON)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/exchanges",
        "query_string": b"",
        "headers": [(b"x-api-key", key.encode()), (b"content-length", b"100")],
    }
    asyncio.run(application(service)(scope, receive, send))
    return sent


def test_a_body_that_comes_too_slowly_is_given_up(hasty: Service) -> None:
    async def slowly() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    start, *_ = replied(hasty, slowly)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert hasty.gate._in_flight == 0


def test_a_body_that_ends_early_is_no_failure_of_ours(hasty: Service) -> None:
    messages = iter([{"type": "http.request", "body": b'{"acc', "more_body": True}, {"type": "http.disconnect"}])

    async def broken() -> Message:
        return next(messages)

    assert replied(hasty, broken)[0]["status"] == 400
    assert hasty.gate._in_flight == 0


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_100_mb_is_refused_over_a_real_socket_and_the_next_one_taken(
    service: Service, key_for: Callable[..., dict[str, str]], is_chunked: bool
) -> None:
    headers = {**key_for("ingest"), "Content-Type": "application/x-ndjson", "Host": "here"}
    size = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(100 << 20)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, **size}.items())
    piece = (b"100000\r\n" if is_chunked else b"") + b" " * (1 << 20) + (b"\r\n" if is_chunked else b"")
    with served(service) as port:
        with connected(port) as connection:
            connection.sendall(f"POST /v1/exchanges HTTP/1.1\r\n{lines}\r\n".encode())
            with suppress(ConnectionError):  # it is closed while we still send
                for _ in range(100):
                    connection.sendall(piece)
            with suppress(ConnectionError):
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        assert service.gate._in_flight == 0
        with connected(port) as connection:
            content = bodies.lines(bodies.rows(1))
            connection.sendall(request("/v1/exchanges", headers, "POST", content))
            assert answers(connection, 1)[0][0] == 200
