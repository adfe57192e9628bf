"""Private matching with a partner's service: our side of it, as the one who begins.

Why:    we learn which of our identifiers the partner has too; it learns how many we put in, rounded up.
Misses: a partner who answers falsely. That all answers differ and are points is checked, no more can be.
"""

import json
import os
import random
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from stillwatch.errors import SettingsError, SharingError
from stillwatch.neutral import terminal
from stillwatch.sharing import psi

MOST_POINTS: Final = 2_000_000  # of the other side
CONNECT_S, READ_S = 5.0, 120.0
MOST_WORDS_BYTES: Final = 64 << 10  # of a reply that is not points
LONGEST_DETAIL: Final = 300
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))
_SESSION = re.compile(r"[0-9a-f]{32}")

Progress = Callable[[str, int, int], object]  # what is done, how much of how many


@dataclass(frozen=True, slots=True)
class Side:
    """A partner's service: where it is, and the key it gave us."""

    url: str
    key: str = field(repr=False)
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Which of our digests, by position, the partner has too; how many it has, rounded up; what is left of the day."""

    positions: list[int]
    own_size: int
    inputs_left: int


@dataclass(frozen=True, slots=True)
class _Session:
    session_id: str
    own_size: int
    page_points: int
    inputs_left: int


def matched(
    side: Side, kind: str, digests: Sequence[bytes], *, threads: int = 1, on_progress: Progress = lambda *_: None
) -> Match:
    """Match our digests, all different, with what the partner offers of that kind.

    Raises:
        SettingsError: the address or the certificates cannot be used.
        SharingError: the partner refuses, does not answer, or answers with something else than points.
    """
    secret, given = psi.secret_of(os.urandom(psi.SECRET_BYTES)), psi.filled(digests, random.SystemRandom())
    with _connected(side) as client:
        session = _opened(client, kind, len(given))
        try:
            steps = _Steps(client, session, secret, threads, on_progress)
            answered = steps.answered(given)[: len(digests)]
            among = steps.theirs()
        finally:
            with suppress(SharingError):
                _asked(client, "DELETE", f"sessions/{session.session_id}", 0)
    return Match(psi.shared_positions(answered, among), session.own_size, session.inputs_left)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What a session consists of, with what each step needs."""

    client: httpx2.Client
    session: _Session
    secret: bytes
    threads: int
    on_progress: Progress

    def answered(self, digests: Sequence[bytes]) -> list[bytes]:
        """Our points with both secrets in them, in order."""
        found: list[bytes] = []
        session_id = self.session.session_id
        for page, part in enumerate(_pages(digests, self.session.page_points)):
            points = psi.blinded(part, secret=self.secret, session_id=session_id, threads=self.threads)
            path = f"sessions/{session_id}/points/{page}"
            reply = _asked(self.client, "POST", path, len(part) * psi.POINT_BYTES, body=b"".join(points))
            found += _whole(reply, len(part))
            self.on_progress("ours", len(found), len(digests))
        if len(set(found)) != len(found):
            raise SharingError("the partner answered different points with the same: its answers cannot be used.")
        return found

    def theirs(self) -> list[bytes]:
        """Their points with both secrets in them, in whatever order."""
        found: list[bytes] = []
        size = self.session.own_size
        for page in range(-(-size // self.session.page_points)):
            count = min(self.session.page_points, size - len(found))
            path = f"sessions/{self.session.session_id}/own/{page}"
            points = _whole(_asked(self.client, "GET", path, count * psi.POINT_BYTES), count)
            found += psi.blinded_again(points, secret=self.secret, threads=self.threads)
            self.on_progress("theirs", len(found), size)
        return found


def _opened(client: httpx2.Client, kind: str, size: int) -> _Session:
    asked = json.dumps({"kind": kind, "size": size}).encode()
    reply = _asked(client, "POST", "sessions", MOST_WORDS_BYTES, body=asked, content_type="application/json")
    try:
        told: dict[str, Any] = json.loads(reply)
        session = _Session(
            str(told["session_id"]), int(told["own_size"]), int(told["page_points"]), int(told["inputs_left"])
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SharingError("the partner opened no session that we understand. Which version does it run?") from error
    is_sane = 0 < session.own_size <= MOST_POINTS and 0 < session.page_points <= MOST_POINTS
    if not (_SESSION.fullmatch(session.session_id) and is_sane):
        raise SharingError("the partner opened a session of impossible size. Which version does it run?")
    return session


def _pages(digests: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (digests[i : i + size] for i in range(0, len(digests), size))


def _whole(held: bytes, count: int) -> list[bytes]:
    points = psi.points_in(held)
    if len(points) != count:
        raise SharingError(f"the partner answered {count:,} points with {len(points):,}. Try again.")
    return points


@contextmanager
def _connected(side: Side) -> Iterator[httpx2.Client]:
    """Connections to the partner's service, over TLS but for this machine."""
    try:
        parts = urlsplit(side.url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
    except ValueError:
        is_safe = False
    if not is_safe or parts.username is not None or parts.query or parts.fragment or not side.url.isascii():
        raise SettingsError("the address of the peer: write https://HOST, without a user; http:// only on this machine")
    try:
        trusted = ssl.create_default_context(cafile=None if side.ca is None else str(side.ca))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{side.ca} holds no certificates that can be read. Write them in PEM.") from error
    with httpx2.Client(
        base_url=f"{side.url.rstrip('/')}/v1/psi/",
        headers={"Authorization": f"Bearer {side.key}", "Accept-Encoding": "identity"},
        verify=trusted,
        timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client


def _asked(
    client: httpx2.Client,
    method: str,
    path: str,
    most_bytes: int,
    *,
    body: bytes | None = None,
    content_type: str = "application/octet-stream",
) -> bytes:
    """The body of a reply, cut off where it is longer than it may be.

    Raises:
        SharingError: the partner refuses, or there is no answer that can be used.
    """
    try:
        with client.stream(method, path, content=body, headers={"Content-Type": content_type}) as reply:
            is_refusal = not reply.is_success
            found = bytearray()
            for piece in reply.iter_raw():
                found += piece
                if len(found) > (MOST_WORDS_BYTES if is_refusal else most_bytes):
                    raise SharingError("the partner's answer is longer than it may be.")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise SharingError(f"the partner does not answer ({type(error).__name__}). Try again later.") from error
    if is_refusal:
        raise SharingError(f"the partner refuses ({reply.status_code}): {_detail(bytes(found))}")
    return bytes(found)


def _detail(reply: bytes) -> str:
    """What the partner says of a refusal, as harmless text."""
    try:
        told = json.loads(reply)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it does not say why."
    return terminal(str(told))[:LONGEST_DETAIL]
