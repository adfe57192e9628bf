"""A service that answers gateways, with decisions that a test sets; a model server that tells what it was sent."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from tests.client.peer import Row, row

from stillwatch.server import Service
from stillwatch.server.gateways.routes import router

READY_S = 30.0


class Decided:
    """The rows of a snapshot, as the service's own answers: bytes of JSON by account and namespace."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.fails = False

    def decide(self, account_id: str, action: str, **more: Any) -> None:
        self.rows[account_id] = row(account_id, action, **more)

    def reply(self, account_id: bytes, namespace: bytes = b"") -> bytes:
        if self.fails:
            raise RuntimeError("planted")
        key = (namespace + account_id).decode()
        return json.dumps(self.rows.get(key, row(key, "none", decision_id=None))).encode()


class Asking:
    """The real service, with these decisions in place of its own."""

    def __init__(self, service: Service, snapshot: Decided) -> None:
        self._service, self.snapshot = service, snapshot
        self.checks = service.checks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@pytest.fixture
def decided() -> Decided:
    return Decided()


@pytest.fixture
def asking(service: Service, decided: Decided) -> Asking:
    return Asking(service, decided)


@pytest.fixture
def app(asking: Asking) -> FastAPI:
    app = FastAPI()
    app.state.service = asking
    app.include_router(router)
    return app


@pytest.fixture
def enforcer(key_for: Callable[..., dict[str, str]]) -> str:
    return key_for("enforcer")["Authorization"].removeprefix("Bearer ")


@contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """The application on a loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(READY_S)


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


@pytest.fixture
def model_port() -> Iterator[int]:
    """A model server that answers with the headers it was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody comes to listen on the port in time."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
