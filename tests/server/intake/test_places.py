"""Prefixes of object stores are watched as folders are, and nothing is fetched twice, a restart included.

The store is a folder behind the address of a file system, and a small server that speaks the part of S3 that is needed;
no real store can be had where these tests run.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pyarrow import fs
from tests.server.conftest import Clock
from tests.server.intake import bodies

from stillwatch.errors import ServiceError, SettingsError
from stillwatch.server import ServerSettings, Service, opened
from stillwatch.server.intake.places import Store, place_of
from stillwatch.server.intake.watching import REMEMBERED, Watch
from stillwatch.server.settings import Storing, Taking
from stillwatch.state.manifest import manifest_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
BUCKET = "logs"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    (tmp_path / BUCKET / "day").mkdir(parents=True)
    return tmp_path / BUCKET


@pytest.fixture(params=["file", "s3"])
def address(request: pytest.FixtureRequest, bucket: Path) -> Iterator[str]:
    """The address of the bucket, as a file system and as S3."""
    if request.param == "file":
        yield f"file://{bucket}"
        return
    handler = type("Handler", (S3,), {"folder": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    where = f"endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
    yield f"s3://key:secret@{BUCKET}?{where}"
    server.shutdown()
    server.server_close()
    thread.join()


class S3(BaseHTTPRequestHandler):
    """Lists and hands out the files of a folder as S3 does its objects."""

    folder: Path
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        asked = urlsplit(self.path)
        key = unquote(asked.path).removeprefix(f"/{BUCKET}").lstrip("/")
        if not key:
            return self._reply(200, self._listed(parse_qs(asked.query).get("prefix", [""])[0]), with_body=with_body)
        path = self.folder / key
        if not path.is_file():
            return self._reply(404, b"", with_body=with_body)
        return self._reply(200, path.read_bytes(), with_body=with_body)

    def _listed(self, prefix: str) -> bytes:
        found = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        rows = "".join(
            f"<Contents><Key>{path.relative_to(self.folder)}</Key><Size>{path.stat().st_size}</Size>"
            f"<LastModified>{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            "</Contents>"
            for path in found
            if str(path.relative_to(self.folder)).startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()

    def _reply(self, status: int, body: bytes, *, with_body: bool) -> None:
        if (span := self.headers["Range"]) and status == 200:
            first, last = (int(end) for end in span.removeprefix("bytes=").split("-"))
            whole, body, status = len(body), body[first : last + 1], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{whole}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", format_datetime(AT, usegmt=True))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


@pytest.fixture
def watching(address: str, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    settings = ServerSettings(storage=Storing(state=tmp_path / "state"), intake=Taking(watch=(address,)))
    with opened(settings, now=clock) as held:
        yield held


@pytest.fixture
def counts(watching: Service) -> Callable[[], list[int]]:
    """Exchanges of every batch of the state."""

    def counted() -> list[int]:
        held = manifest_of(watching.settings.storage.state)
        return [] if held is None else [batch.exchanges for batch in held.batches]

    return counted


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the objects that were fetched, in order."""
    names: list[str] = []
    fetch = Store.fetched

    def told(self: Store, name: str) -> Any:
        names.append(name.rpartition("/")[2])
        return fetch(self, name)

    monkeypatch.setattr(Store, "fetched", told)
    return names


def test_an_object_is_taken_in_once_and_not_fetched_again_after_a_restart(
    watching: Service, bucket: Path, counts: Callable[[], list[int]], fetched: list[str]
) -> None:
    watch = Watch(watching)
    (bucket / "day" / "a.jsonl").write_bytes(bodies.lines(bodies.rows(20)))
    (bucket / "day" / "b.jsonl.partial").write_bytes(b"{")
    (bucket / "_done").write_bytes(b"")
    watch.look()
    assert counts() == []
    watch.look()
    watch.look()
    assert (counts(), fetched) == ([20], ["a.jsonl"])
    state = watching.settings.storage.state
    assert b"secret" not in (state / REMEMBERED).read_bytes()
    assert list(state.glob(".fetched-*")) == []
    again = Watch(watching)
    (bucket / "c.jsonl").write_bytes(bodies.lines(bodies.rows(7, first=20)))
    again.look()
    again.look()
    assert (counts(), fetched) == ([20, 7], ["a.jsonl", "c.jsonl"])


def test_a_store_that_does_not_answer_is_reported_and_asked_again(
    watching: Service, bucket: Path, counts: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: Store) -> Any:
        raise ServiceError("away")

    (bucket / "a.jsonl").write_bytes(bodies.lines(bodies.rows(5)))
    watch = Watch(watching)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "found", away)
        watch.look()
    for _ in range(2):
        watch.look()
    assert counts() == [5]


def test_what_a_killed_process_had_fetched_is_deleted(watching: Service) -> None:
    left = watching.settings.storage.state / ".fetched-x"
    left.mkdir()
    (left / "a.jsonl").write_bytes(b"text")
    Watch(watching)
    assert not left.exists()


def test_an_object_that_cannot_be_fetched_is_an_error_of_ours(tmp_path: Path) -> None:
    store = Store("file", fs.LocalFileSystem(), str(tmp_path / "nothing"), tmp_path)
    assert store.found() == {}
    with pytest.raises(ServiceError, match="could not be fetched"), store.fetched(f"file://{tmp_path}/nothing/a"):
        pass
    assert list(tmp_path.glob(".fetched-*")) == []


def test_an_address_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"an address of ftp:// that cannot be read; give s3://"):
        place_of("ftp://host/prefix", tmp_path)
