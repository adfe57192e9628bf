"""The service in this process: a socket first, then what it holds, then requests until a signal comes."""

import errno
import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from stillwatch.errors import ServiceError, SettingsError
from stillwatch.server import logging
from stillwatch.server.app import application, http_protocol_of
from stillwatch.server.service import Service, opened
from stillwatch.server.settings import ServerSettings, files_wanted

FINISH_S = 20  # for requests under way when a signal comes; after that they are cut off
_BACKLOG = 2048


def serve(settings: ServerSettings, *, tell: Callable[[Service, str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun. `tell` is given the address once it listens.

    Raises:
        SettingsError: the host or the port cannot be used, or a setting is wrong.
        ServiceError: the database does not answer.
    """
    logging.set_up()
    allow_files(files_wanted(settings.server))
    with listening(settings.server.host, settings.server.port) as listener, opened(settings) as service:
        config = uvicorn.Config(
            application(service, with_jobs=True),
            http=http_protocol_of(service),
            access_log=False,
            log_config=None,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=FINISH_S,
        )
        server = _Server(config, service, lambda: tell(service, address_of(listener)))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.stop)
        server.run(sockets=[listener])
        if not server.started:
            raise ServiceError("the service did not start; its log says why")


def allow_files(wanted: int) -> None:
    """Let this process open so many files, as far as the system lets it; `doctor` tells where it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port in use is known before anything is opened.

    Raises:
        SettingsError: the host or the port cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = {
            errno.EADDRINUSE: "something else listens there: stop it, or give another --port",
            errno.EACCES: "this user may not: give a --port above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address: give another --host",
        }.get(error.errno or 0, str(error))
        raise SettingsError(f"cannot listen on {host}, port {port}: {why}") from error


def address_of(listener: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, which says when it listens, and lets streams know when it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._told = service, told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._told()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End streams, then as uvicorn does."""
        self._service.stopping.set()
        super().handle_exit(sig, frame)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal that comes before uvicorn listens to them, or is handed on when it is done."""
        self._service.stopping.set()
        self.should_exit = True
