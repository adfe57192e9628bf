"""One HTTP request to a checked address: no redirect followed, no proxy, a deadline for all of it, little read back."""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Timer
from urllib.parse import urlsplit

from stillwatch.server.alerts.addresses import checked_address

CONNECT_S, DEADLINE_S = 5.0, 10.0
MOST_REPLY_BYTES = 4096


class PostError(Exception):
    """The request got no answer; the message says in a few words why, and holds nothing of the address."""


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool, deadline_s: float = DEADLINE_S
) -> int:
    """Post the body; the status of the answer.

    Raises:
        AddressError: the host may not be asked.
        PostError: nothing answered in time, or not in HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = checked_address(host, port, allow_private=allow_private)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connected(address, port, deadline_s) as plain:
            connection = http.client.HTTPConnection(host, port)
            connection.sock = _wrapped(plain, host) if parts.scheme == "https" else plain
            try:
                connection.request("POST", path, body, {**headers, "host": parts.netloc, "connection": "close"})
                answer = connection.getresponse()
                answer.read(MOST_REPLY_BYTES)
                return answer.status
            finally:
                connection.close()
    except ssl.SSLError as error:
        raise PostError(f"TLS failed: {error.reason or 'no reason given'}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PostError(f"no answer ({type(error).__name__})") from error


@contextmanager
def _connected(address: str, port: int, deadline_s: float) -> Iterator[socket.socket]:
    """A socket to the address, which is cut off at the deadline however slowly the other side trickles."""
    plain = socket.create_connection((address, port), timeout=min(CONNECT_S, deadline_s))
    same, is_late = plain.dup(), Event()  # the other one is taken over by TLS
    watch = Timer(deadline_s, _cut, [same, is_late])
    watch.daemon = True
    watch.start()
    try:
        yield plain
    finally:
        watch.cancel()
        watch.join()
        same.close()
        plain.close()
    if is_late.is_set():  # what was read until then looks like an answer that ended
        raise TimeoutError


def _cut(connection: socket.socket, is_late: Event) -> None:
    is_late.set()
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed already
        return


def _wrapped(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
