"""Real receivers on the loopback: one of webhooks over HTTP and HTTPS, one of mail."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hooks:
    """A receiver of webhooks: what came, and what it answers, one after the other; the last one goes on."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(204, {}, b"")])
    trickle: threading.Event | None = None  # answers byte by byte until it is set

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?at=1"

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _handler(hooks: Hooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hooks.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if hooks.trickle is not None:
                self._trickle(hooks.trickle)
                return
            status, headers, text = hooks.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(text)
            except OSError:  # whoever asked has read enough
                return

        def _trickle(self, stopped: threading.Event) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stopped.wait(0.05):
                    self.wfile.write(b"a")
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    return Handler


@contextmanager
def served(secure: ssl.SSLContext | None = None) -> Iterator[Hooks]:
    hooks = Hooks()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hooks))
    server.daemon_threads = True
    if secure is not None:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is part of the tests
    hooks.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hooks
    finally:
        if hooks.trickle is not None:
            hooks.trickle.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with served() as found:
        yield found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for receiver.example and 127.0.0.1, signed by itself; its key is in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)
    names = [x509.DNSName("receiver.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure_hooks(certificate: Path) -> Iterator[Hooks]:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate)
    with served(secure) as found:
        yield found


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate, as an operator trusts one of his own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have names resolve to these addresses, one answer after the other; the names that were asked for."""

    def made(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            found = answers[min(len(asked), len(answers)) - 1]
            return [
                (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
                for one in found
            ]

        monkeypatch.setattr("stillwatch.server.alerts.addresses.socket.getaddrinfo", answer)
        return asked

    return made


@dataclass
class Mailbox:
    """A mail server: what was handed to it, and who logged in."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    was_secure: list[bool] = field(default_factory=list)
    offers_tls: bool = True
    refuses: bool = False


def _mail_handler(box: Mailbox, secure: ssl.SSLContext) -> type[StreamRequestHandler]:
    class Handler(StreamRequestHandler):
        is_secure = False

        def setup(self) -> None:
            super().setup()
            self.is_secure = isinstance(self.connection, ssl.SSLSocket)

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example")
            while line := self.rfile.readline():
                command = line.strip().upper()
                if command == b"STARTTLS":
                    self.start_tls()
                elif command == b"DATA":
                    self.take()
                elif command == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.reply(line.strip())

        def reply(self, line: bytes) -> None:
            if line.upper().startswith(b"EHLO"):
                offers = ["AUTH PLAIN"] if self.is_secure else ["STARTTLS"] if box.offers_tls else []
                lines = ["mail.example", *offers]
                for i, text in enumerate(lines):
                    self.say(f"250{' ' if i == len(lines) - 1 else '-'}{text}")
            elif line.upper().startswith(b"AUTH"):
                box.logins.append(base64.b64decode(line.split()[2]))
                self.say("235 welcome")
            else:
                self.say("550 no" if box.refuses and line.upper().startswith(b"RCPT") else "250 fine")

        def start_tls(self) -> None:
            self.say("220 go on")
            self.connection = secure.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb", -1)
            self.wfile = self.connection.makefile("wb", 0)
            self.is_secure = True

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def take(self) -> None:
            self.say("354 go on")
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line)
            box.mails.append(b"".join(lines))
            box.was_secure.append(self.is_secure)
            self.say("250 taken")

    return Handler


@contextmanager
def mail_server(certificate: Path, *, is_tls_from_the_start: bool = False) -> Iterator[Mailbox]:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate)
    box = Mailbox()
    server = ThreadingTCPServer(("127.0.0.1", 0), _mail_handler(box, secure))
    server.daemon_threads = True
    if is_tls_from_the_start:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is part of the tests
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def mailbox(certificate: Path) -> Iterator[Mailbox]:
    with mail_server(certificate) as box:
        yield box
