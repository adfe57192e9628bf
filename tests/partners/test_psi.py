"""Private matching against a partner whose service answers anything: it is told, and nothing is taken for a match."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stillwatch.errors import SettingsError, SharingError
from stillwatch.partners.psi import MOST_WORDS_BYTES, Side, matched
from stillwatch.sharing import psi

SECRET = psi.secret_of(bytes(range(32)))
SESSION = {"session_id": "a" * 32, "size": 100, "own_size": 100, "page_points": 4096, "inputs_left": 9_900}
DIGESTS = [psi.digest("device", str(i)) for i in range(3)]

Answer = Callable[[str, str, bytes], tuple[int, bytes]]  # to a method, a path and a body


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The address of a service that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, reply = answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_DELETE = do_POST  # noqa: N815 - so the server calls them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def honest(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """As the service answers."""
    if method == "DELETE":
        return 204, b""
    if path.endswith("/sessions"):
        return 201, json.dumps(SESSION).encode()
    if "/points/" in path:
        return 200, b"".join(psi.blinded_again(psi.points_in(body), secret=SECRET))
    digests = [*DIGESTS[1:], *(secrets.token_bytes(32) for _ in range(98))]
    return 200, b"".join(psi.blinded(digests, secret=SECRET, session_id="a" * 32))


def otherwise(part: str, reply: Callable[[bytes], bytes], status: int = 200) -> Answer:
    """As the service answers, but for one part."""

    def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        told = honest(method, path, body)
        return (status, reply(told[1])) if part in path and method != "DELETE" else told

    return answer


def test_an_honest_service_is_matched_with() -> None:
    with answering(honest) as url:
        found = matched(Side(url, "sw_x"), "device", DIGESTS)
    assert (found.positions, found.own_size, found.inputs_left) == ([1, 2], 100, 9_900)


def session(**told: object) -> Callable[[bytes], bytes]:
    return lambda _: json.dumps(SESSION | told).encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (otherwise("/points/", lambda held: held[:32] * 100), "different points with the same"),
        (otherwise("/points/", lambda held: held[:-32]), "100 points with 99"),
        (otherwise("/points/", lambda held: held[:-1]), "whole number of points"),
        (otherwise("/points/", lambda held: held + held), "longer than it may be"),
        (otherwise("/own/", lambda held: held[:-32]), "100 points with 99"),
        (otherwise("/own/", lambda held: held[:-32] + bytes(32)), "not of the group"),
        (otherwise("/own/", lambda held: held + b"x"), "longer than it may be"),
        (otherwise("/sessions", lambda _: b"{", 201), "opened no session"),
        (otherwise("/sessions", lambda _: b"[" * 60_000, 201), "opened no session"),
        (otherwise("/sessions", session(own_size="many"), 201), "opened no session"),
        (otherwise("/sessions", session(own_size=10**9), 201), "impossible size"),
        (otherwise("/sessions", session(page_points=0), 201), "impossible size"),
        (otherwise("/sessions", session(session_id="../../x"), 201), "impossible size"),
        (otherwise("/sessions", lambda _: b"x" * (MOST_WORDS_BYTES + 1), 201), "longer than it may be"),
        (otherwise("/sessions", lambda _: b'{"detail": "no\\u001b[2Jmore"}', 429), r"refuses \(429\): nomore"),
        (otherwise("/sessions", lambda _: b"<html>", 502), r"refuses \(502\): it does not say why"),
        (otherwise("/sessions", lambda _: b"", 302), r"refuses \(302\)"),
    ],
)
def test_answers_that_cannot_be_are_told(answer: Answer, words: str) -> None:
    with answering(answer) as url, pytest.raises(SharingError, match=words):
        matched(Side(url, "sw_x"), "device", DIGESTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://north.example",
        "ftp://north.example",
        "https://user:word@north.example",
        "https://[",
        "north",
        "https://a/?b",
    ],
)
def test_addresses_that_would_show_the_key_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="write https://HOST"):
        matched(Side(url, "sw_secret"), "device", DIGESTS)
    assert "sw_secret" not in repr(Side(url, "sw_secret"))


def test_the_session_is_ended_whatever_happens() -> None:
    seen: list[tuple[str, str]] = []

    def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        seen.append((method, path))
        return otherwise("/own/", lambda _: b"")(method, path, body)

    with answering(answer) as url, pytest.raises(SharingError):
        matched(Side(url, "sw_x"), "device", DIGESTS)
    assert seen[-1] == ("DELETE", f"/v1/psi/sessions/{'a' * 32}")
