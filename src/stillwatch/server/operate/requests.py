"""Around every request: counted, timed, told in the log by its route, and cut off when its body is too long or slow.

The path is never told: it may hold the id of an account.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException

from stillwatch.server import metrics
from stillwatch.server.logging import failure

Scope = MutableMapping[str, Any]  # of ASGI, as are the four below
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"GET", "HEAD", "OPTIONS"})  # told in the log only when they fail, as are these routes:
_HOT = frozenset({"/v1/check", "/v1/check/{path:path}"})  # asked thousands of times a second, by any method
_REFUSED = (403, 429)  # what such a route tells about an account: what it is there for, and often
SUM_S = 60.0  # seconds that are told of in one line, by route and status
_UNKNOWN = "unknown"
JSON_BYTES = 8 << 20  # of a body that is read whole before anybody asks for a key; others are read piece by piece after
ALL_JSON_BYTES = 128 << 20  # of all such bodies that are being read or worked on
_CLOSE = {"Connection": "close"}  # what is left of the body is not read


class Requests:
    """Middleware over the whole application."""

    def __init__(self, app: Application, *, log: Any, max_body_bytes: int, body_timeout_s: float) -> None:
        """Bodies longer than so many bytes, or not there after so many seconds, are refused."""
        self._app, self._log = app, log
        self._max_body_bytes, self._body_timeout_s = max_body_bytes, body_timeout_s
        self._refusals: Counter[tuple[str, int]] = Counter()
        self._json_bytes = 0  # that are held now; touched by the event loop only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered = time.perf_counter(), _Answer(send)
        body = _Body(scope, receive, self._max_body_bytes, self._body_timeout_s, self._hold)
        try:
            await self._app(scope, body, answered)
        except Exception as error:
            answered.status = 500
            self._log.error("request_failed", method=_method(scope), route=_route(scope), **failure(error))
            raise
        finally:
            self._json_bytes -= body.held_bytes
            self._told(scope, answered.status, time.perf_counter() - began)

    def _hold(self, count: int) -> None:
        if self._json_bytes + count > ALL_JSON_BYTES:
            raise HTTPException(503, "Too many bodies are being read. Try again later.", {"Retry-After": "5", **_CLOSE})
        self._json_bytes += count

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = _method(scope), _route(scope)
        metrics.requests.labels(method, route, status).inc()
        metrics.request_seconds.labels(route).observe(seconds)
        if route in _HOT and status in _REFUSED:
            self._sum_up(route, status)
        elif status >= 400 or not (method in _QUIET or route in _HOT):
            principal = getattr(scope.get("state", {}).get("principal"), "name", None)
            self._log.info(
                "request", method=method, route=route, status=status, seconds=round(seconds, 4), principal=principal
            )

    def _sum_up(self, route: str, status: int) -> None:
        """Count a refusal; the first one of a kind begins a minute, at whose end all of them are told in one line."""
        self._refusals[route, status] += 1
        if self._refusals[route, status] == 1:
            asyncio.get_running_loop().call_later(SUM_S, self._tell_sum, route, status)

    def _tell_sum(self, route: str, status: int) -> None:
        count = self._refusals.pop((route, status))
        self._log.info("requests_refused", route=route, status=status, count=count, seconds=SUM_S)


class _Body:
    """`receive` that counts bytes and watches the clock until the body has come."""

    def __init__(
        self, scope: Scope, receive: Receive, max_bytes: int, timeout_s: float, hold: Callable[[int], None]
    ) -> None:
        self._scope, self._receive, self._max_bytes, self._timeout_s = scope, receive, max_bytes, timeout_s
        self._hold, self._is_json = hold, False
        self._bytes = self.held_bytes = 0
        self._until: float | None = None
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self._until is None:
            self._until = time.monotonic() + self._timeout_s
            self._is_json = getattr(self._scope.get("route"), "body_field", None) is not None
            if self._is_json:
                self._max_bytes = min(self._max_bytes, JSON_BYTES)
        try:
            message = await asyncio.wait_for(self._receive(), max(0.001, self._until - time.monotonic()))
        except TimeoutError:
            raise HTTPException(408, "The body did not come in time.", _CLOSE) from None
        count = len(message.get("body", b""))
        self._bytes += count
        if self._bytes > self._max_bytes:
            raise HTTPException(413, f"The body is longer than {self._max_bytes} bytes.", _CLOSE)
        if self._is_json:
            self._hold(count)
            self.held_bytes += count
        self._is_whole = not message.get("more_body", False)
        return message


class _Answer:
    """`send` that remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499  # the client went before there was an answer

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _route(scope: Scope) -> str:
    """The route as it is declared."""
    return getattr(scope.get("route"), "path", _UNKNOWN)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else _UNKNOWN
