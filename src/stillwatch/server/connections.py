"""HTTP connections that nobody can hold for nothing: the head of a request has so long to come, and they are so many.

Why:    a server that waits for headers as long as a client cares to send them is stopped by a few thousand clients that
        send a byte now and then ("slow loris"). Bodies have their own limit (`operate/requests.py`).
Misses: a client that reads its answer slowly; one address that takes all connections; gRPC.
Source: own; 408 as in RFC 9110, section 15.5.9.

1. The clock of a connection starts with it, and again when bytes come while nothing is owed on it: part of a head,
   blank lines, the rest of a body that was answered already.
2. It stops when the head of a request is whole. From then on the request is the application's.
3. Idle between two requests, a connection is closed by uvicorn's own clock.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillwatch.server.metrics import closed_connections

_CLOSED = b"connection: close\r\ncontent-length: 0\r\n\r\n"
_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSED
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n" + _CLOSED


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a limit to heads in seconds, and one to connections of this process."""

    header_timeout_s = 10.0
    max_connections = 4_000

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_due: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._end(_FULL, "too_many")
        else:
            self._head_due = self.loop.call_later(self.header_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; when they are no whole head, the rest of it must come in time."""
        super().data_received(data)
        if self._head_due is None and self.owes_nothing():
            self._head_due = self.loop.call_later(self.header_timeout_s, self._give_up)

    def on_headers_complete(self) -> None:
        """The head of a request is whole."""
        self.head_came()
        super().on_headers_complete()

    def head_came(self) -> None:
        """Stop the clock."""
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def owes_nothing(self) -> bool:
        """Whether every request that came was answered, and an answer could be written now."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self.pipeline and not self.flow.write_paused and not self.transport.is_closing()

    def _give_up(self) -> None:
        self._head_due = None
        if self.owes_nothing():
            self._end(_SLOW, "slow_headers")

    def _end(self, told: bytes, why: str) -> None:
        closed_connections.labels(why).inc()
        self.transport.write(told)
        self.transport.close()
