"""Processes of ours that are there at once: forked from one that has imported everything, and otherwise their own.

To import the service and what a scan needs takes seconds, more than most tests that start a process; the fork server
imports it once for all tests of a worker. What comes out of it is a real process with its own id, environment, folder
and streams, to be signalled and killed as any other. That `python -m stillwatch` starts as an operator types it is for
the tests of the live deployment, of the gateways and of the command line to show.
"""

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

MAIN = "stillwatch.cli:main"
END_S = 300  # a busy machine takes its time
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["stillwatch.cli", "stillwatch.scan", "stillwatch.upkeep", "stillwatch.server", "stillwatch.server.operate.serving"]
)


class Forked:
    """A process that runs a function of ours, as far as tests use the one of `subprocess`."""

    def __init__(self, words: tuple[object, ...], main: str, errors: Path, folder: Path, **variables: str) -> None:
        reading, writing = _FORKS.Pipe(duplex=False)
        told = ({**os.environ, **variables}, str(folder), str(errors), main, ["stillwatch", *map(str, words)])
        self._process = _FORKS.Process(target=_as_told, args=(writing, *told))
        self._process.start()
        writing.close()
        self.stdout: IO[str] = os.fdopen(os.dup(reading.fileno()), encoding="utf-8")
        reading.close()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """As `subprocess` tells it: less than nothing for a signal, null while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """How it ended, or null."""
        return self.returncode

    def wait(self, timeout: float = END_S) -> int:
        """How it ended, as soon as it has."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("stillwatch", timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Be sure that nothing of it is left."""
        self.kill()
        self.wait()
        self.stdout.close()
        self._process.close()


@contextmanager
def started(
    *words: object, errors: Path, main: str = MAIN, folder: Path | None = None, **variables: str
) -> Iterator[Forked]:
    """A process with these words as its command line; what it says on standard error is in a file."""
    process = Forked(words, main, errors, folder or Path.cwd(), **variables)
    try:
        yield process
    finally:
        process.close()


def run(*words: object, main: str = MAIN, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command of ours, run to its end."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as errors:
        with started(*words, errors=Path(errors.name), main=main, **variables) as process:
            printed, code = process.stdout.read(), process.wait()
        return subprocess.CompletedProcess(["stillwatch", *map(str, words)], code, printed, errors.read())


def deadly(where: str) -> None:
    """Replace a function, `module:attribute`, by a real SIGKILL of this process."""
    module, _, name = where.partition(":")
    owner, _, attribute = name.rpartition(".")
    holder: Any = importlib.import_module(module)
    holder = getattr(holder, owner) if owner else holder
    setattr(holder, attribute, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))


def dying_command() -> None:
    """The command line, whose first word says what kills it."""
    deadly(sys.argv.pop(1))
    _function(MAIN)()


def _as_told(
    out: Connection, environment: dict[str, str], folder: str, errors: str, main: str, arguments: list[str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(out.fileno(), 1)
    with Path(errors).open("ab") as file:
        os.dup2(file.fileno(), 2)
    out.close()
    sys.argv = arguments
    _function(main)()


def _function(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
