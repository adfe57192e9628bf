"""One cell: a world with one dose, scanned and evaluated by the public commands; measured once, then remembered."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import stillwatch

CELLS = "cells.jsonl"


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured. Equal cells give equal figures under the same package and the same files."""

    scenario: str
    days: int
    scale: float
    seed: int
    doses: tuple[str, ...]  # NAME=VALUE
    prompts: str | None = None
    timing: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a cell gave: accounts by verdict against the truth, and what it cost."""

    right: int  # hostile accounts called distillation
    linked_right: int  # the same, called distillation or coordinated
    hostile: int
    wrong: int  # customers called distillation
    linked_wrong: int
    customers: int
    exposure: float | None  # share of the hostile exchanges made by accused accounts
    exchanges: int
    cpu_s: float

    @classmethod
    def of(cls, evaluation: Mapping[str, Any], exchanges: int, cpu_s: float) -> "Figures":
        """The figures from what `stillwatch evaluate --format json` prints."""
        accused, linked = evaluation["distillation"], evaluation["distillation_or_coordinated"]
        return cls(
            right=accused["recall"]["hits"],
            linked_right=linked["recall"]["hits"],
            hostile=accused["recall"]["total"],
            wrong=accused["precision"]["total"] - accused["precision"]["hits"],
            linked_wrong=linked["precision"]["total"] - linked["precision"]["hits"],
            customers=evaluation["wronged"]["all"]["total"],
            exposure=evaluation["exposure"]["accounted"],
            exchanges=exchanges,
            cpu_s=round(cpu_s, 1),
        )


@dataclass
class Cache:
    """Cells measured before, one JSON object a line; a run that was cut short goes on where it was."""

    folder: Path
    known: dict[str, Figures] = field(default_factory=dict)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CELLS
        for row in _rows(path) if path.is_file() else ():
            self.known[row["key"]] = Figures(**row["figures"])
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")  # the next cell does not continue a line that a crash cut short

    def keep(self, key: str, cell: Cell, figures: Figures) -> None:
        """Remember a cell, on disk first."""
        row = json.dumps({"key": key, "cell": asdict(cell), "figures": asdict(figures)})
        with self._writing, (self.folder / CELLS).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
        self.known[key] = figures


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of the file; one that a crash cut short is measured again."""
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def key_of(cell: Cell, version: str) -> str:
    """What a cell is remembered by: its parameters, the content of its files and the version of the package."""
    told = asdict(cell)
    for name in ("prompts", "timing"):
        told[name] = told[name] and _digest(told[name])
    return hashlib.sha256(json.dumps([told, version]).encode()).hexdigest()[:24]


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@cache
def package_version() -> str:
    """A digest of every file of the installed package: another line of code is another version."""
    root = Path(stillwatch.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def measured(cell: Cell) -> Figures:
    """Simulate, scan and evaluate in processes of their own; nothing is left behind.

    Raises:
        subprocess.CalledProcessError: one of the three failed; what it said is on standard error.
    """
    with tempfile.TemporaryDirectory(prefix="bench-evasion-") as scratch:
        world, out = Path(scratch) / "world", Path(scratch) / "out"
        spent = _run(_simulate(cell, world), Path(scratch))[1]
        logs, accounts = str(world / "exchanges" / "*.parquet"), str(world / "accounts.parquet")
        spent += _run(["scan", logs, "--accounts", accounts, "--out", str(out), "--threads", "1"], Path(scratch))[1]
        told, more = _run(
            ["evaluate", str(out), "--truth", str(world / "truth.parquet"), "--format", "json"], Path(scratch)
        )
        exchanges = json.loads((world / "world.json").read_text("utf-8"))["exchanges"]
        return Figures.of(json.loads(told), exchanges, spent + more)


def _simulate(cell: Cell, world: Path) -> list[str]:
    command = ["simulate", str(world), "--scenario", cell.scenario, "--scale", repr(cell.scale)]
    command += ["--days", str(cell.days), "--seed", str(cell.seed)]
    for dose in cell.doses:
        command += ["--dose", dose]
    for flag, path in (("--prompts", cell.prompts), ("--timing", cell.timing)):
        command += [flag, path] if path else []
    return command


def _run(arguments: list[str], scratch: Path) -> tuple[str, float]:
    """What a command of ours prints, and the processor time it took [s]; one thread, and the same key each time."""
    key, printed, said = scratch / "key", scratch / "stdout", scratch / "stderr"
    key.write_bytes(hashlib.sha256(b"bench.evasion").digest())
    environment = {**os.environ, "STILLWATCH_KEY_FILE": str(key), "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stillwatch", *arguments]
    with printed.open("wb") as output, said.open("wb") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        # Several cells run at once, so the time of all children would hold that of the neighbours.
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.stderr.write(said.read_text("utf-8", errors="replace"))
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed.read_text("utf-8"), used.ru_utime + used.ru_stime
