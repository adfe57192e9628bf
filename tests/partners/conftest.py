"""Partners' servers on the loopback: the OASIS reference server in a process of its own, and one that does as told."""

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.partners.world import COLLECTION, NORTH, Clock

from stillwatch.partners import Inbox

MEDALLION = Path(__file__).with_name("run_medallion.py")
TAXII = {"content-type": "application/taxii+json;version=2.1"}
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "out")


@dataclass
class Medallion:
    """The reference server, with one API root, of two collections; pages hold at most four objects."""

    url: str
    credentials: Path

    def peers(self, path: Path, **more: object) -> Path:
        rows = {
            "name": "north",
            "url": self.url,
            "pull": [COLLECTION],
            "push": COLLECTION,
            "credentials": f"file:{self.credentials}",
            "senders": [NORTH],
            **more,
        }
        path.write_text("[[peers]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items()))
        return path


@pytest.fixture(scope="session")
def medallion_process() -> Iterator[tuple[str, Any]]:
    """Its address, and a function that empties it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", MEDALLION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    written, read = process.stdin, process.stdout
    port = int(read.readline())

    def emptied() -> None:
        written.write("empty\n")
        written.flush()
        assert read.readline() == "emptied\n"

    yield f"http://127.0.0.1:{port}/api/", emptied
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def medallion(medallion_process: tuple[str, Callable[[], None]], tmp_path: Path) -> Medallion:
    url, emptied = medallion_process
    emptied()
    credentials = tmp_path / "north.credentials"
    credentials.write_text("basic stillwatch:a password\n")
    return Medallion(url, credentials)


@dataclass
class Scripted:
    """A server that says what it is told to say: `answers` one after the other, the last one for ever."""

    port: int = 0
    answers: list[Answer] = field(default_factory=lambda: [(200, TAXII, b"{}")])
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    trickle: threading.Event | None = None  # answers byte by byte until it is set

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    def says(self, *bodies: object, **headers: str) -> None:
        told = {**TAXII, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.answers = [(200, told, json.dumps(body).encode()) for body in bodies]

    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.asked]


def _handler(scripted: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            told = {name.lower(): value for name, value in self.headers.items()}
            scripted.asked.append((self.command, self.path, told, body))
            try:
                self._answer()
            except OSError:  # whoever asked has read enough
                return

        def do_POST(self) -> None:
            self.do_GET()

        def _answer(self) -> None:
            if scripted.trickle is not None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not scripted.trickle.wait(0.02):
                    self.wfile.write(b"a")
                return
            answers = scripted.answers
            status, headers, text = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            return

    return Handler


@contextmanager
def _serving(told: Scripted, context: ssl.SSLContext | None = None) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(told))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        if told.trickle is not None:
            told.trickle.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    told = Scripted()
    with _serving(told):
        yield told


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate of this machine's address that nobody but its own file vouches for; the key is in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a partner")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "authority.pem"
    held = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + held)
    return path


@pytest.fixture
def secure_url(authority: Path) -> Iterator[str]:
    """The API root of a partner's server over TLS, under that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    told = Scripted()
    with _serving(told, context):
        yield told.url.replace("http://", "https://")


@pytest.fixture
def campaigns() -> list[dict[str, Any]]:
    """The sample campaigns: one of each verdict."""
    return list(json.loads((Path(__file__).parent.parent / "golden" / "sample_campaigns.json").read_text()))
