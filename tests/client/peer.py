"""A service that speaks the contract of decisions over real HTTP, written from the contract and not from our code."""

import gzip
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sw_abc_def"
INGEST_KEY = "sw_ghi_jkl"
Row = dict[str, Any]


def row(account_id: str, action: str, **more: Any) -> Row:
    """A row of the contract."""
    limits = {
        "throttle": {"requests_per_minute": 60},
        "shape": {"max_output_tokens": 64, "strip_logprobs": True, "reasoning": "withhold"},
    }.get(action)
    return {
        "account_id": account_id,
        "action": action,
        "shadow": None,
        "check": "identity" if action == "verify" else None,
        "limits": limits,
        "because": "shares a card with a campaign",
        "decision_id": f"decision-{account_id}",
        "campaign_id": "campaign-7",
        "author": "policy:default",
        "decided_at": "2026-03-01T12:00:00Z",
        "expires_at": "2999-01-01T00:00:00Z",
    } | more


class Peer:
    """Decisions, their version, who follows them, and every request that came."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.log: list[tuple[int, Row]] = []
        self.epoch, self.number = "e1", 0
        self.served_at_s: float | None = None  # None: the real time
        self.is_silent = False  # the stream is opened but holds everything back
        self.has_stream = True
        self.truncates = False
        self.fail_opens: list[int] = []
        self.logged: list[dict[str, Any]] = []  # what intake would read
        self.requests: list[tuple[str, int]] = []
        self.followers: list[queue.SimpleQueue[bytes | None]] = []
        self.lock = threading.Lock()
        self.url = ""

    @property
    def version(self) -> str:
        return f"{self.epoch}-{self.number}"

    def decide(self, *rows: Row) -> None:
        """Change decisions and tell the followers."""
        with self.lock:
            for each in rows:
                self.number += 1
                self._keep(each)
                self.log.append((self.number, each))
                for follower in self.followers:
                    follower.put(_told(self.version, each))

    def start_over(self) -> None:
        """Lose the history, as after a restart: followers are cut, versions are others."""
        with self.lock:
            self.epoch, self.number, self.log = self.epoch + "x", 0, []
        self.cut()

    def cut(self) -> None:
        """Break every stream."""
        with self.lock:
            for follower in self.followers:
                follower.put(None)

    def say(self, data: bytes) -> None:
        """Put bytes into every stream."""
        for follower in self.followers:
            follower.put(data)

    def snapshot(self) -> bytes:
        head = {"version": self.version, "count": len(self.rows)}
        lines = [json.dumps(each) for each in (head, *self.rows.values())]
        return ("\n".join(lines[:-1] if self.truncates else lines) + "\n").encode()

    def follow(self, since: str) -> queue.SimpleQueue[bytes | None]:
        follower: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self.lock:
            epoch, _, number = since.rpartition("-")
            if epoch != self.epoch or int(number) > self.number:
                follower.put(b"event: reset\ndata:\n\n")
            else:
                follower.put(b": here\n\n")
                for at, each in self.log:
                    if at > int(number):
                        follower.put(_told(f"{epoch}-{at}", each))
            self.followers.append(follower)
        return follower

    def _keep(self, each: Row) -> None:
        if each["action"] == "none" and each["shadow"] is None:
            self.rows.pop(each["account_id"], None)
        else:
            self.rows[each["account_id"]] = each


def _told(version: str, each: Row) -> bytes:
    return f"id: {version}\nevent: decision\ndata: {json.dumps(each)}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    peer: Peer

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        status = self._answer(path.path, parse_qs(path.query).get("since", [""])[0])
        self.peer.requests.append((path.path, status))

    def do_POST(self) -> None:
        body, key = self.rfile.read(int(self.headers["Content-Length"])), self.headers["Authorization"]
        if (self.path, key) == ("/v1/fail-opens", f"Bearer {KEY}"):
            self.peer.fail_opens.append(json.loads(body)["count"])
            self._reply(204, b"")
        elif (self.path, key) == ("/v1/litellm", f"Bearer {INGEST_KEY}"):
            self.peer.logged.extend(json.loads(line) for line in gzip.decompress(body).splitlines())
            self._reply(200, b"{}")
        else:
            self._reply(404, b"")

    def _answer(self, path: str, since: str) -> int:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self._reply(401, b"")
        if path == "/v1/decisions/snapshot":
            if self.headers["If-None-Match"] == f'"{self.peer.version}"':
                return self._reply(304, b"")
            whole = self.peer.snapshot()
            packed = gzip.compress(whole[:100]) + gzip.compress(whole[100:])
            return self._reply(200, packed, ("ETag", f'"{self.peer.version}"'), ("Content-Encoding", "gzip"))
        if not self.peer.has_stream:
            return self._reply(503, b"", ("Retry-After", "0"))
        return self._stream(self.headers["Last-Event-ID"] or since)

    def _stream(self, since: str) -> int:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        follower = self.peer.follow(since)
        while (data := follower.get()) is not None:
            if not self.peer.is_silent:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.close_connection = True
        return 200

    def _reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> int:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return status

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.peer.served_at_s if timestamp is None else timestamp, usegmt=True)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


@contextmanager
def running(peer: Peer, port: int = 0) -> Iterator[Peer]:
    """The peer on a loopback port; on the way out its streams break and the port is closed."""
    handler = type("Handler", (_Handler,), {"peer": peer})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    server.block_on_close = False
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        peer.cut()
        thread.join()
