"""Sends requests over a few kept-alive connections and reports the id the gateway gave to each."""

import http.client
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from queue import SimpleQueue

from tests.flow.gateway.world import Request

CONNECTIONS = 4  # the proxy is one busy core: more only makes it post records twice (docs/gateway-litellm.md)


def sent(port: int, rounds: Iterable[list[Request]]) -> dict[str, Request]:
    """Every request by the id of its response. A round starts when the one before has been answered.

    Raises:
        AssertionError: the gateway answered anything but 200.
    """
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        free: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        for _ in range(CONNECTIONS):
            free.put(stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60))))

        def send(request: Request) -> tuple[str, Request]:
            connection = free.get()
            try:
                return _exchange(connection, request), request
            finally:
                free.put(connection)

        return {identifier: request for each in rounds for identifier, request in pool.map(send, each)}


def _exchange(connection: http.client.HTTPConnection, request: Request) -> str:
    headers = {
        "Authorization": f"Bearer {request.key}",
        "Content-Type": "application/json",
        "User-Agent": request.user_agent,
        "X-Forwarded-For": request.address,
    }
    connection.request("POST", "/v1/chat/completions", json.dumps(request.body), headers)
    response = connection.getresponse()
    body = response.read()
    assert response.status == http.HTTPStatus.OK, f"{request.key}: {response.status} {body[:300]!r}"
    identifier: str = json.loads(body)["id"]
    return identifier
