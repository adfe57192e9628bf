"""HTTP connections that nobody can hold for nothing: heads come and answers are read in time, and they are so many.

Why:    a server that waits for headers as long as a client cares to send them, or for a client to read, is stopped by a
        few thousand clients that send or read a byte now and then ("slow loris", "slow read"), and one without a share
        for each address by a single machine that opens all it may. Bodies have their own limit (`operate/requests.py`).
Misses: an adversary with many addresses; gRPC, which has its own (`gateways/authorization.py`).
Source: own; 408 as in RFC 9110, section 15.5.9.

1. The clock of a connection starts with it, and again when bytes come while nothing is owed on it: part of a head,
   blank lines, the rest of a body that was answered already.
2. It stops when the head of a request is whole. From then on the request is the application's.
3. Idle between two requests, a connection is closed by uvicorn's own clock.
4. A second clock starts when bytes wait to be read by the client: the transport asks for a pause, or is to be closed
   once it has sent them. It goes on for as long as at least `LEAST_BYTES_S` are read, and stops when few are left.
"""

import fcntl
import sys
import termios
from asyncio import TimerHandle, Transport
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillwatch.server.failures import network
from stillwatch.server.metrics import closed_connections

LEAST_BYTES_S = 1_024  # that a client must read of an answer that waits for it, on average

_CLOSED = b"connection: close\r\ncontent-length: 0\r\n\r\n"
_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSED
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n" + _CLOSED


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a limit to heads and to reading in seconds, and to connections of this process and an address."""

    header_timeout_s = 10.0
    read_timeout_s = 30.0
    max_connections = 4_000
    max_connections_per_address = 1_000
    addresses: ClassVar[Counter[str]] = Counter()  # connections of each, of this process

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ws_protocol_class = None  # no route speaks it, and a connection that is handed over is bounded no more
        self._head_due: TimerHandle | None = None
        self._read_due: TimerHandle | None = None
        self._unread_bytes = 0
        self._address = ""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        self._address = network(self.client[0] if self.client else "")
        self.addresses[self._address] += 1
        if len(self.connections) > self.max_connections:
            self._end(_FULL, "too_many")
        elif self.addresses[self._address] > self.max_connections_per_address:
            self._end(_FULL, "too_many_of_address")
        else:
            self._head_due = self.loop.call_later(self.header_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.head_came()
        self._was_read()
        self.addresses[self._address] -= 1
        if not self.addresses[self._address]:
            del self.addresses[self._address]
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

    def pause_writing(self) -> None:
        """Much waits to be read: the client has so long to go on."""
        super().pause_writing()
        self._must_read()

    def resume_writing(self) -> None:
        """The client has read most of it."""
        if not self.transport.is_closing():
            self._was_read()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """An answer was given; if it is the last one, what is left of it must be read."""
        super().on_response_complete()
        self._must_read_to_close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, whether or not its client reads what was sent."""
        super().timeout_keep_alive_handler()
        self._must_read_to_close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        super().send_400_response(msg)
        self._must_read_to_close()

    def head_came(self) -> None:
        """Stop the clock of the head."""
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
        self._must_read()

    def _must_read_to_close(self) -> None:
        if self.transport.is_closing() and self in self.connections:
            self._must_read()

    def _must_read(self) -> None:
        if self._read_due is None:
            self._unread_bytes = self._to_read()
            self._read_due = self.loop.call_later(self.read_timeout_s, self._look_whether_read)

    def _was_read(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _look_whether_read(self) -> None:
        """Go on waiting for a client that reads, and cut off one that does not."""
        self._read_due = None
        if self._unread_bytes - self._to_read() >= LEAST_BYTES_S * self.read_timeout_s:
            self._must_read()
        else:
            closed_connections.labels("slow_reader").inc()
            self.transport.abort()

    def _to_read(self) -> int:
        """Bytes that the client's side has not acknowledged: ours, and the system's, which may be megabytes."""
        held: int = self.transport.get_write_buffer_size()
        try:
            queued = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return held
        return held + int.from_bytes(queued, sys.byteorder)
