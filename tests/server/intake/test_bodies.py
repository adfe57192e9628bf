"""Bodies that come too slowly or not to their end cost their sender the request and nobody else anything."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import NOON, Clock

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
