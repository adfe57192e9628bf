"""The service as a client reads it: one connection at a time, the whole snapshot or the changes since a version."""

import http.client
import json
import os
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

from stillwatch.errors import ServiceError, SettingsError

_CHUNK_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 20
_MOST_TOLD = 1_000_000


class UnavailableError(ServiceError):
    """The service answered with something else; `retry_after_s` is when it asks us to come back."""

    def __init__(self, status: int, retry_after_s: float) -> None:
        super().__init__(f"the service answered {status}" + (": check the key" if status in (401, 403) else ""))
        self.status, self.retry_after_s = status, retry_after_s


@dataclass(frozen=True, slots=True)
class Change:
    """One server-sent event: its kind, the version that it leads to, and its data."""

    kind: str
    version: str
    data: bytes


class Source:
    """Where decisions come from. `timeout_s` is the longest silence that is borne."""

    def __init__(self, url: str, key: str, *, timeout_s: float) -> None:
        """Nothing is opened yet.

        Raises:
            SettingsError: the URL is none of HTTP, or the key holds what no key holds.
        """
        parts = urlsplit(url)
        if not key.isascii() or not key.isprintable() or " " in key:
            raise SettingsError("the key of the service holds a space or another character that no key has")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{url!r}: give the address of the service as http://HOST:PORT or https://HOST")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "stillwatch-client"}
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._is_stopped = False
        self.date = ""  # of the newest reply

    def snapshot(self, version: str | None) -> Iterator[bytes] | None:
        """The lines of the snapshot; None when it is still of that version.

        Raises:
            OSError, http.client.HTTPException, UnavailableError: there was no answer, or another.
            ValueError: the answer is no text of lines.
        """
        headers = {"Accept-Encoding": "gzip"}
        if version is not None:
            headers["If-None-Match"] = f'"{version}"'
        response = self._answer("GET", "/v1/decisions/snapshot", headers)
        if response.status == 304:
            return None
        return _lines(_plain(response))

    def changes(self, version: str) -> Iterator[Change | None]:
        """Each change since the version, as it happens; None for a sign of life.

        Raises:
            OSError, http.client.HTTPException, UnavailableError: there was no answer, another, or silence.
            ValueError: the answer is no text of lines.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": version}
        response = self._answer("GET", f"/v1/decisions/deltas?since={quote(version)}", headers)
        yield None
        kind, told, data = "message", "", b""
        for line in _lines(_chunks(response)):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                if data or kind == "reset":
                    yield Change(kind, told, data)
                kind, data = "message", b""
            elif not field:
                yield None
            elif field == b"event":
                kind = value.decode()
            elif field == b"id":
                told = value.decode()
            elif field == b"data":
                data = data + b"\n" + value if data else value

    def tell_of_fail_opens(self, count: int) -> None:
        """Let the service count how many passed unseen.

        Raises:
            OSError, http.client.HTTPException, UnavailableError: there was no answer, or another.
        """
        told = json.dumps({"count": min(count, _MOST_TOLD)}).encode()
        self.post("/v1/fail-opens", {"Content-Type": "application/json"}, told)

    def post(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Send the body; it was taken when this returns.

        Raises:
            OSError, http.client.HTTPException, UnavailableError: there was no answer, or another.
        """
        self._answer("POST", path, headers, body).close()

    def stop(self) -> None:
        """Wake whoever waits for the service, from any thread; nothing is read any more."""
        self._is_stopped = True
        held = self._socket
        if held is not None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Let go of a connection that belongs to another process, without a word to the service."""
        held, self._socket = self._socket, None
        if held is not None:
            with suppress(OSError):
                os.close(held.detach())

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> http.client.HTTPResponse:
        connection = self._kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
            self._socket = connection.sock
            if self._is_stopped:
                raise ConnectionAbortedError("the client was closed")
            sent = {**self._headers, **headers, "Connection": "close"}
            connection.request(method, self._path + path, body, sent)
            response = connection.getresponse()
            self._socket.close()  # in truth when the response is, which holds it until then
        except BaseException:
            connection.close()
            raise
        self.date = response.getheader("Date", "")
        if response.status != 200:
            response.close()
        if response.status not in (200, 204, 304):
            after = response.getheader("Retry-After", "")
            raise UnavailableError(response.status, float(after) if after.isdecimal() else 0.0)
        return response


def seconds_of(date: str) -> float | None:
    """The seconds since 1970 that an HTTP date tells; None when it tells none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    with response:
        while chunk := response.read1(_CHUNK_BYTES):
            yield chunk


def _plain(response: http.client.HTTPResponse) -> Iterator[bytes]:
    if response.getheader("Content-Encoding", "identity") != "gzip":
        yield from _chunks(response)
        return
    unpacker = zlib.decompressobj(wbits=31)
    for chunk in _chunks(response):
        packed = chunk
        while packed:
            if unpacker.eof:  # gzip may be several files, one after the other
                unpacker = zlib.decompressobj(wbits=31)
            yield unpacker.decompress(packed, _CHUNK_BYTES)
            packed = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise ValueError("the snapshot ended early")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            raise ValueError("a line of the service is too long")
        yield from (line.removesuffix(b"\r") for line in whole)
    if rest:
        yield rest
