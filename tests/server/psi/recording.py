"""A TCP proxy that keeps every byte that goes through it, in both directions."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TIMEOUT_S = 30.0


@dataclass
class Recording:
    """Where the proxy listens, and what was sent (by the client) and received."""

    port: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


@contextmanager
def recorded(port: int) -> Iterator[Recording]:
    """A proxy before that port, until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    found, done, threads = Recording(listener.getsockname()[1]), threading.Event(), list[threading.Thread]()

    def accept() -> None:
        while not done.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            server = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
            client.settimeout(TIMEOUT_S)
            for source, target, kept in ((client, server, found.sent), (server, client, found.received)):
                threads.append(threading.Thread(target=_copied, args=(source, target, kept), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield found
    finally:
        done.set()
        for thread in (accepting, *threads):
            thread.join(TIMEOUT_S)
        listener.close()


def _copied(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with source:
        while True:
            try:
                piece = source.recv(65_536)
            except OSError:
                piece = b""
            if not piece:
                break
            kept += piece
            target.sendall(piece)
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:  # the other side closed first
            return
