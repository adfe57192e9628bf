"""A real uvicorn over a real socket, with the fast path or without it, and requests as raw bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from stillwatch.server import Service, application
from stillwatch.server.decisions.fast import http_protocol

TIMEOUT_S = 20.0


@contextmanager
def served(service: Service, *, is_fast: bool = True, app: Any = None, **options: Any) -> Iterator[int]:
    """The port of a server that runs until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app or application(service),
        http=http_protocol(service) if is_fast else "httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection that gives up in the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as held:
        yield held


def request(path: str, headers: dict[str, str], method: str = "GET", body: bytes = b"") -> bytes:
    """A request as bytes."""
    told = {"Host": "here", **headers} | ({"Content-Length": str(len(body))} if body else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def answers(connection: socket.socket, count: int, *, is_head: bool = False) -> list[tuple[int, dict[str, str], bytes]]:
    """The next answers on a connection: status, headers but the date, body."""
    found = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            line = stream.readline()
            if not line:
                break
            headers = {}
            while (told := stream.readline()) not in (b"\r\n", b""):
                name, _, value = told.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            headers.pop("date", None)
            body = b"" if is_head else stream.read(int(headers.get("content-length", 0)))
            found.append((int(line.split()[1]), headers, body))
    return found
