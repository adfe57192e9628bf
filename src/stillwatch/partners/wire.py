"""Requests to a partner's server, in which nothing the server does costs more than was allowed.

Why:    a partner's server may be slow, broken or taken over. A request has a deadline for all of it, a body a largest
        size, a redirect stays on the host it came from, and an answer is asked for again only so often.
Misses: a server that answers every request slowly, within its deadline, makes one pull take long; other partners
        wait for it.
Source: RFC 9110, sections 10.2.3 (Retry-After) and 15.4 (redirects); RFC 6585, section 4 (429).
"""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Timer
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2

from stillwatch.errors import SettingsError, SharingError
from stillwatch.partners.logins import Login

MOST_BODY_BYTES: Final = 16 << 20
CONNECT_S, READ_S, DEADLINE_S = 5.0, 15.0, 120.0
MOST_REDIRECTS, MOST_TRIES = 3, 4
LONGEST_WAIT_S: Final = 60.0
_AGAIN = frozenset((429, 502, 503, 504))
_MOVED = frozenset((301, 302, 303, 307, 308))


class TooLongError(SharingError):
    """A body is longer than was allowed; a smaller page may fit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: its status, its headers and, read as JSON, its body."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


class Wire:
    """Connections to one host. Close it after use, or use it in a `with`."""

    def __init__(
        self,
        url: str,
        login: Login | None,
        *,
        ca: Path | None = None,
        wait: Callable[[float], object] = time.sleep,
        deadline_s: float = DEADLINE_S,
        most_bytes: int = MOST_BODY_BYTES,
    ) -> None:
        """`wait` is how time passes between two tries; `ca` names the certificates to trust instead of the system's.

        Raises:
            SettingsError: the certificates cannot be read.
        """
        self._origin = _origin(url)
        self.host = urlsplit(url).hostname or ""
        self._wait, self._deadline_s, self._most_bytes = wait, deadline_s, most_bytes
        self._client = httpx2.Client(
            auth=login.header if login else None,
            verify=_trusted(ca),
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,  # neither ~/.netrc nor a proxy of the environment
        )

    def __enter__(self) -> "Wire":
        """The connections themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pause(self) -> None:
        """Wait a second before the server is asked how far it is."""
        self._wait(1.0)

    def ask(self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None) -> Answer:
        """The answer to a request; asked for again where the server says that it may work later.

        Raises:
            SharingError: there is no usable answer; the message holds nothing that the server wrote.
        """
        for number in range(1, MOST_TRIES + 1):
            try:
                answer, wait_s = self._once(method, url, headers, body)
            except httpx2.TransportError as error:
                if number == MOST_TRIES or isinstance(error, httpx2.UnsupportedProtocol):
                    raise self._failure(f"does not answer ({type(error).__name__})") from error
                answer, wait_s = None, None
            if answer is not None and (answer.status not in _AGAIN or number == MOST_TRIES):
                return answer
            self._wait(min(LONGEST_WAIT_S, 2.0 ** (number - 1) if wait_s is None else wait_s))
        raise self._failure("does not answer")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Answer, float | None]:
        """One try, with the redirects that it takes; and how long the server asks us to wait."""
        for _ in range(MOST_REDIRECTS + 1):
            if _origin(url) != self._origin:
                raise self._failure("sends us to another host. Write the address that answers into the peers file")
            status, told, raw = self._sent(method, url, headers, body)
            if status in _MOVED and method == "GET":
                url = urljoin(url, told.get("location", ""))
                continue
            return Answer(status, told, self._read(status, told, raw)), _retry_after(told.get("retry-after", ""))
        raise self._failure("sends us round in a circle")

    def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request, cut off at its deadline however slowly the other side trickles."""
        watch = Timer(self._deadline_s, self._client.close)
        watch.daemon = True
        until = time.monotonic() + self._deadline_s
        watch.start()
        try:
            sending = {**headers, "accept-encoding": "identity"}  # nothing that grows when it is unpacked
            with self._client.stream(method, url, headers=sending, content=body) as reply:
                if reply.headers.get("content-encoding", "identity").lower() != "identity":
                    raise self._failure("packs its answers although it was asked not to")
                found = bytearray()
                for piece in reply.iter_raw():
                    found += piece
                    if len(found) > self._most_bytes:
                        raise TooLongError(f"{self.host} answers with more than {self._most_bytes:,} bytes at once")
                    if time.monotonic() > until:
                        raise self._failure(f"was not done after {self._deadline_s:g} seconds")
                return reply.status_code, reply.headers, bytes(found)
        except (OSError, RuntimeError, httpx2.TransportError, httpx2.InvalidURL) as error:
            if time.monotonic() >= until:
                raise self._failure(f"was not done after {self._deadline_s:g} seconds") from error
            if isinstance(error, httpx2.TransportError):
                raise
            raise self._failure(f"cannot be asked ({type(error).__name__})") from error
        finally:
            watch.cancel()

    def _read(self, status: int, headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
        """The body; an answer that is no success may hold anything, and is not read."""
        if status >= httpx2.codes.MULTIPLE_CHOICES:
            return {}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/taxii+json":
            raise self._failure("does not answer in TAXII. Does the address in the peers file name an API root?")
        try:
            body = json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise self._failure("answers with something that is no JSON, or nested too deeply") from error
        if not isinstance(body, dict):
            raise self._failure("answers with JSON that is no TAXII resource")
        return body

    def _failure(self, what: str) -> SharingError:
        return SharingError(f"{self.host} {what}.")


def _refuse_constant(_: str) -> None:
    raise ValueError("a number that is none")


def _origin(url: str) -> tuple[str, str, int]:
    """What must stay the same for credentials to be sent: scheme, host and port."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0


def _trusted(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{ca} holds no certificates that can be read. Write them in PEM.") from error


def _retry_after(told: str) -> float | None:
    """Seconds that the server asks for, as a number or as a date; null when it asks for none."""
    if told.isascii() and told.isdigit() and len(told) < len("1000000"):
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except (TypeError, ValueError, OverflowError):
        return None
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
