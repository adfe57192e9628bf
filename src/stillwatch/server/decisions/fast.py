"""`GET /v1/decisions/{account_id}` answered as its bytes arrive, from the snapshot, with no task and no framework.

1. Only what is plain is answered here: a whole request with no body, for one account, with a key that was admitted some
   seconds ago at most, on a connection that owes no other answer.
2. Everything else goes to uvicorn's own parser, byte for byte, and is answered by the route, which tells the same.
3. Between two requests nothing of a fast one is left in that parser, so the two ways can alternate on a connection.

Misses: these requests are in no access log and pass through no middleware; responses carry the headers that matter.
        They are counted in `answers.py`.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from stillwatch.server.connections import BoundedProtocol
from stillwatch.server.decisions.admissions import Admissions
from stillwatch.server.decisions.answers import ANSWERS, TIMED_ONE_IN

_LINE = re.compile(rb"(GET|HEAD) /v1/decisions/((?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+) HTTP/1\.1\r\n")
_OTHERS = (b"snapshot", b"deltas")  # further routes below the same path
_HEADERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[!-~\x80-\xff \t]*\r\n)*")
# Headers that change how a message is read, or whether the connection lives on, are for the parser to judge.
_UNUSUAL = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"))
_KEYS = (b"authorization", b"x-api-key")
_BOUNDS = ("header_timeout_s", "read_timeout_s", "max_connections", "max_connections_per_address")  # of connections
_MOST_BYTES = 16_384  # of a request; a longer one is the parser's, with its own bounds


def http_protocol(service: Any) -> type[BoundedProtocol]:
    """Uvicorn's protocol (its option `http`), with the fast path over what the service holds."""
    settings = service.settings.server
    held = {
        "snapshot": service.snapshot,
        "admissions": _admissions(service),
        "addresses": Counter(),
        **{name: getattr(settings, name) for name in _BOUNDS},
    }
    return type("DecisionsProtocol", (_Fast,), held)


class _Fast(BoundedProtocol):
    """HTTP/1.1, with one path of its own."""

    snapshot: Any
    admissions: Admissions
    _told: tuple[Any, bytes] = (None, b"")  # uvicorn's own headers of this second, and the head made of them

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_possible = not self.root_path
        self._is_inside = False  # the parser has begun a request and wants the rest of it
        self._answered_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once, and hand on the rest."""
        if self._is_possible and not self._is_inside and self.owes_nothing():
            data = self._rest(data)
        if data:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """The parser begins a request."""
        self._is_inside = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has read the headers; after an upgrade it speaks another protocol."""
        if self.parser.should_upgrade():
            self._is_possible = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has read a whole request."""
        self._is_inside = False
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that was answered fast meanwhile is not idle."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Let the connection end, and streams of deltas with it."""
        self.snapshot.versions.hang_up()
        super().shutdown()

    def _rest(self, data: bytes) -> bytes:
        """Answer the requests at the start; what follows the last of them."""
        replies: list[bytes] = []
        start, count = 0, 0
        ANSWERS.reads += 1
        began = 0.0 if ANSWERS.reads % TIMED_ONE_IN else time.perf_counter()
        while start < len(data):
            line = _LINE.match(data, start)
            end = data.find(b"\r\n\r\n", line.end() - 2) if line else -1
            if line is None or not 0 < end - start < _MOST_BYTES:
                break
            reply = self._reply(line[2], data[line.end() : end + 2])
            if reply is None:
                break
            replies += (self._head(), b"%d\r\ncontent-type: application/json\r\n\r\n" % len(reply))
            if line[1] == b"GET":
                replies.append(reply)
            count += 1
            start = end + 4
        if replies:
            self.transport.write(b"".join(replies))
            if began:
                ANSWERS.took(count, time.perf_counter() - began)
            self.server_state.total_requests += count
            if self._head_due is not None:
                self.head_came()
            self._answered_at = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_handler()
        return data[start:] if start else data

    def _reply(self, account_id: bytes, headers: bytes) -> bytes | None:
        """The row to tell; None when this is not a request to answer here."""
        keys = _keys(headers)
        namespace = self.admissions.namespace(*keys) if keys else None
        if namespace is None:
            return None
        if b"%" in account_id:
            account_id = unquote_to_bytes(account_id)
            if b"/" in account_id or not _is_utf_8(account_id):
                return None
        if account_id in _OTHERS:
            return None
        row: bytes
        row, place = self.snapshot.answer(account_id, namespace)
        ANSWERS.fast[place] += 1
        return row

    def _head(self) -> bytes:
        headers = self.server_state.default_headers
        told, head = self._told
        if told is not headers:
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            head = b"HTTP/1.1 200 OK\r\n" + lines + b"cache-control: no-store\r\ncontent-length: "
            type(self)._told = (headers, head)
        return head


def _admissions(service: Any) -> Admissions:
    def later(look: Callable[[], None]) -> object:
        return asyncio.get_running_loop().run_in_executor(None, look)

    return Admissions(service.principal, later=later)


def _keys(headers: bytes) -> tuple[bytes, bytes] | None:
    """`Authorization` and `X-API-Key` of a request whose headers are all plain; None for any other."""
    if not _HEADERS.fullmatch(headers):
        return None
    found: dict[bytes, bytes] = {}
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _UNUSUAL or (name in _KEYS and name in found):
            return None
        if name == b"connection" and value.strip(b" \t").lower() != b"keep-alive":
            return None
        if name in _KEYS:
            found[name] = value.strip(b" \t")
    return found.get(_KEYS[0], b""), found.get(_KEYS[1], b"")


def _is_utf_8(account_id: bytes) -> bool:
    try:
        account_id.decode()
    except UnicodeDecodeError:
        return False
    return True
