"""Records reach a real HTTP server in order and once, whatever it answers, and are counted when they do not."""

import gzip
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.client.conftest import becomes
from tests.flow.gateway import proxy

from stillwatch.errors import SettingsError
from stillwatch.gateways import posting as postings
from stillwatch.gateways.posting import Posting, Progress

KEY = "sw_abc_def"
GONE = 0  # instead of a status: the connection ends without a reply, after the body was taken


@dataclass
class Intake:
    """What was posted: every attempt's batch id, and the records of those that were taken, by batch id."""

    answers: deque[tuple[int, str]] = field(default_factory=deque)  # status and Retry-After; then 200
    attempts: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: dict[str, list[int]] = field(default_factory=dict)
    open: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def records(self) -> list[int]:
        return [number for batch in self.taken.values() for number in batch]


class _Handler(BaseHTTPRequestHandler):
    intake: Intake

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        intake, batch_id = self.intake, self.headers["X-Stillwatch-Batch-Id"]
        intake.attempts.append(batch_id)
        intake.headers.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        intake.open.wait(20)
        status, after = intake.answers.popleft() if intake.answers else (200, "")
        if status in (200, GONE):
            intake.taken[batch_id] = [json.loads(line)["n"] for line in gzip.decompress(body).split(b"\n")]
        if status == GONE:
            return
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


@contextmanager
def serving(intake: Intake, port: int = 0) -> Iterator[Intake]:
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"intake": intake}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    intake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield intake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def intake() -> Iterator[Intake]:
    held = Intake()
    held.open.set()
    with serving(held):
        yield held


@pytest.fixture
def posting_of() -> Iterator[Callable[..., Posting]]:
    """Postings that are closed at the end."""
    made: list[Posting] = []

    def start(url: str, **more: Any) -> Posting:
        posting = Posting(url, KEY, **{"gather_s": 0.02, "pause_s": 0.02, **more})
        made.append(posting)
        return posting

    yield start
    for posting in made:
        posting.close(0.0)


def record(number: int, size: int = 0) -> bytes:
    return json.dumps({"n": number, "more": "x" * size}).encode()


def put(posting: Posting, numbers: range, size: int = 0) -> None:
    for number in numbers:
        posting.put(record(number, size))


def test_records_come_in_batches_and_in_order(intake: Intake, posting_of: Callable[..., Posting]) -> None:
    posting = posting_of(intake.url, gather_s=1.0)
    put(posting, range(1200))
    posting.close()
    assert intake.records() == list(range(1200))
    assert [len(batch) for batch in intake.taken.values()] == [500, 500, 200]
    assert posting.progress() == Progress(1200, 0, 0, 0)
    told = intake.headers[0]
    assert (told["path"], told["authorization"]) == ("/v1/litellm", f"Bearer {KEY}")
    assert (told["content-type"], told["content-encoding"]) == ("application/x-ndjson", "gzip")


def test_a_single_record_is_posted_after_a_moment(intake: Intake, posting_of: Callable[..., Posting]) -> None:
    posting_of(intake.url).put(record(7))
    assert becomes(lambda: intake.records() == [7])


def test_long_records_make_short_batches(intake: Intake, posting_of: Callable[..., Posting]) -> None:
    posting = posting_of(intake.url, gather_s=1.0)
    put(posting, range(3), size=postings.BATCH_BYTES // 2)
    posting.put(record(3, size=postings.MOST_RECORD_BYTES))
    posting.close()
    assert list(intake.taken.values()) == [[0], [1], [2]]
    assert posting.progress() == Progress(3, 1, 0, 0)


@pytest.mark.parametrize("answer", [(503, "1"), (503, ""), (401, ""), (429, ""), (500, ""), (GONE, "")])
def test_a_batch_keeps_its_id_until_it_is_acknowledged(
    intake: Intake, posting_of: Callable[..., Posting], answer: tuple[int, str]
) -> None:
    intake.answers.extend([answer, answer] if answer[1] == "" else [answer])
    failures = len(intake.answers)
    posting = posting_of(intake.url)
    posting.put(record(0))
    assert becomes(lambda: posting.progress() == Progress(1, 0, 0, failures))
    assert len(intake.attempts) == failures + 1
    assert len(set(intake.attempts)) == 1
    assert intake.records() == [0]


class Pauses(threading.Event):
    """Passes the time at once, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seen.append(timeout or 0.0)
        return self.is_set()


def test_pauses_double_are_drawn_at_random_and_obey_the_service_within_reason(
    intake: Intake, posting_of: Callable[..., Posting]
) -> None:
    intake.answers.extend([(503, "")] * 8 + [(503, "120"), (503, "86400")])
    posting = posting_of(intake.url, pause_s=1.0)
    paused = posting._closing = Pauses()
    posting.put(record(0))
    assert becomes(lambda: posting.progress().posted == 1)
    for number, pause in enumerate(paused.seen[:8]):
        assert min(2**number, 30) / 10 <= pause <= min(2**number, 30)
    assert paused.seen[8:] == [120.0, 300.0]


@pytest.mark.parametrize(("status", "times"), [(400, 1), (413, 1), (415, 1), (422, 1), (500, 10)])
def test_a_batch_that_is_refused_does_not_hold_up_the_next(
    intake: Intake, posting_of: Callable[..., Posting], status: int, times: int
) -> None:
    intake.answers.extend([(status, "")] * times)
    posting = posting_of(intake.url, pause_s=0.001)
    posting.put(record(0))
    assert becomes(lambda: posting.progress().dropped == 1)
    posting.put(record(1))
    assert becomes(lambda: intake.records() == [1])
    assert len(intake.attempts) == times + 1


def test_nothing_is_lost_while_the_service_is_away_for_a_while(posting_of: Callable[..., Posting]) -> None:
    (port,) = proxy.free_ports(1)
    posting = posting_of(f"http://127.0.0.1:{port}")
    put(posting, range(700))
    assert becomes(lambda: posting.progress().failures >= 2)
    put(posting, range(700, 800))
    held = Intake()
    held.open.set()
    with serving(held, port):
        assert becomes(lambda: posting.progress().posted == 800)
    assert held.records() == list(range(800))


def test_a_full_queue_drops_the_newest_and_counts_them(
    intake: Intake, posting_of: Callable[..., Posting], caplog: pytest.LogCaptureFixture
) -> None:
    intake.open.clear()
    posting = posting_of(intake.url, most_bytes=100_000)
    put(posting, range(200), size=1_000)
    kept = posting.progress().waiting
    assert 80 < kept < 100
    assert posting.progress().dropped == 200 - kept
    intake.open.set()
    assert becomes(lambda: posting.progress() == Progress(kept, 200 - kept, 0, 0))
    assert intake.records() == list(range(kept))
    posting.put(record(999))
    assert becomes(lambda: intake.records()[-1] == 999)
    assert caplog.text.count("records are dropped") == 1


def test_the_end_comes_in_time_and_says_what_is_left(
    posting_of: Callable[..., Posting], caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = proxy.free_ports(1)
    posting = posting_of(f"http://127.0.0.1:{port}", pause_s=60.0)
    put(posting, range(3))
    assert becomes(lambda: posting.progress().failures == 1)
    posting.close(0.1)
    assert "3 records were not posted" in caplog.text
    posting.put(record(3))
    assert becomes(lambda: posting.progress().dropped == 4)  # the thread gives its three up as well


def test_a_forked_worker_posts_its_own_and_not_its_parents(intake: Intake, posting_of: Callable[..., Posting]) -> None:
    intake.open.clear()
    posting = posting_of(intake.url)
    put(posting, range(2))
    assert becomes(lambda: len(intake.attempts) == 1)
    put(posting, range(2, 4))
    child = os.fork()
    if not child:  # pragma: no cover  # another process
        posting.put(record(100))
        posting.close(20.0)
        os._exit(0 if posting.progress() == Progress(1, 0, 0, 0) else 1)
    intake.open.set()
    _, status = os.waitpid(child, 0)
    assert status == 0
    posting.close(20.0)
    assert sorted(intake.records()) == [0, 1, 2, 3, 100]
    assert posting.progress() == Progress(4, 0, 0, 0)


@pytest.mark.parametrize(("url", "key"), [("ftp://host", KEY), ("http://host", "a key")])
def test_an_address_or_key_that_means_nothing_is_told_at_once(url: str, key: str) -> None:
    with pytest.raises(SettingsError):
        Posting(url, key)
