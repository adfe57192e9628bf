"""The command line in this process, and the service in one of its own."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import processes

from stillwatch import cli

START_S = 180  # a busy machine takes its time


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command line in this process."""

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["stillwatch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@dataclass
class Serving:
    """A service in a process of its own, and where it listens."""

    process: processes.Forked
    url: str
    log: Path

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_S)


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., Iterator[Serving]]:
    """Start `stillwatch serve` on any port; what is left of it ends with the test."""

    @contextmanager
    def started(*words: object, log: str = "log", **environment: str) -> Iterator[Serving]:
        with processes.started("serve", "--port", "0", *words, errors=tmp_path / log, **environment) as process:
            url = process.stdout.readline().strip()
            assert url, (tmp_path / log).read_text()
            yield Serving(process, url, tmp_path / log)

    return started
