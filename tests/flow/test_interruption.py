"""A scan that is killed leaves nothing half done: the same command afterwards gives what an undisturbed run gives."""

import os
import signal
import threading
from pathlib import Path

import pytest
from tests import processes
from tests.flow import scans

from stillwatch import store
from stillwatch.errors import StoreError
from stillwatch.scan import Scanned

WAIT_S = 120


def killed_when(process: processes.Forked, seen: Path) -> bool:
    """Kill the process as soon as the path is there; whether it was still running then."""
    pause = threading.Event()
    for _ in range(WAIT_S * 200):
        if seen.exists():
            os.kill(process.pid, signal.SIGKILL)
            break
        if process.poll() is not None:
            return False
        pause.wait(0.005)
    return process.wait(WAIT_S) == -signal.SIGKILL


# `.signals.partial` is there while logs are read, `templated` shortly before linkage.
STAGES = (".signals.partial", "templated")


def test_killed_in_mid_scan_the_same_command_gives_the_same_campaigns_in_the_end(
    world: Path, scanned: tuple[Path, Scanned], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("scan", world / "logs", "--accounts", world / "accounts.parquet", "--out", out, "--threads", 1)
    for stage in STAGES:
        with processes.started(*words, errors=tmp_path / "errors") as process:
            assert killed_when(process, out / ".work" / stage), "the scan ended before it could be killed"
        assert (out / ".work").exists()
        assert not (out / store.CAMPAIGNS).exists()
    done = scans.run(*words)
    assert done.returncode == 0, done.stderr
    assert (out / store.CAMPAIGNS).read_bytes() == (scanned[0] / store.CAMPAIGNS).read_bytes()
    assert not (out / ".work").exists()


def test_two_runs_cannot_write_to_one_folder_at_once(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with store.locked(out), pytest.raises(StoreError, match="another run"):
        scans.scan(world, out)
    assert not (out / store.CAMPAIGNS).exists()
