"""What a day costs: one day ingested into a state of weeks and detection over all of it, beside a scan of all logs.

CPU-seconds, each step in a process of its own with nothing warm; what its imports took is told apart, and is in no sum.
Clustering is what finds clusters among traits that are weighed already; the whole stage around it, which works on
accounts and traits and on no exchange, is given too. A world is made unless `--world` names one:

    python bench/increment.py --scenario feb2026 --scale 0.02
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any
from unittest import mock

import pyarrow.parquet as pq

from stillwatch.rollups.content import EMBEDDINGS_PER_DAY
from stillwatch.scan import detect, scan
from stillwatch.settings import KEY_VARIABLE, Settings
from stillwatch.state import Window, existing_manifest
from stillwatch.upkeep import compact, holdings, take_in

EMBEDDING_BYTES = 32
Spent = dict[str, float]  # CPU-seconds by stage; beside them `imports`, `clustering` (of `linkage`) and `total`


class _Stages:
    """A progress callback that notes how much CPU each stage took."""

    def __init__(self) -> None:
        self.spent: Spent = {}
        self._began, self._stage, self._last = process_time(), "start", process_time()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._note()
            self._stage = stage

    def _note(self) -> None:
        now = process_time()
        self.spent[self._stage] = self.spent.get(self._stage, 0.0) + now - self._last
        self._last = now

    def end(self) -> Spent:
        """What was spent in all."""
        self._note()
        return {**self.spent, "total": process_time() - self._began}


def measured(work: Callable[[_Stages], Any]) -> Spent:
    """CPU-seconds of some work by stage; of linkage, clustering is named apart as well."""
    imports, stages, clustering = process_time(), _Stages(), 0.0
    module = importlib.import_module("stillwatch.linkage.findings")  # a function of the package has its name
    original = module.clusters

    def clusters(*given: Any, **flags: Any) -> Any:  # noqa: ANN401 - passes on what it is given
        nonlocal clustering
        began = process_time()
        found = original(*given, **flags)
        clustering += process_time() - began
        return found

    with mock.patch.object(module, "clusters", clusters):
        work(stages)
    return {**stages.end(), "clustering": clustering, "imports": imports}


def scanned(world: str, out: str) -> Spent:
    """One scan of all logs."""
    settings = Settings(logs=(f"{world}/exchanges",), out=Path(out), accounts=_accounts(world), exemplars=False)
    return measured(lambda stages: scan(settings, progress=stages))


def ingested(batches: Sequence[tuple[str, ...]], world: str, state: str) -> Spent:
    """Batches of files into the state, one after the other."""

    def each(stages: _Stages) -> None:
        for logs in batches:
            settings = Settings(logs=logs, out=Path(state), accounts=_accounts(world), exemplars=False)
            take_in(Path(state), settings, progress=stages)

    return measured(each)


def detected(state: str, out: str) -> Spent:
    """Detection over the whole state."""
    settings = Settings(logs=(), out=Path(out), exemplars=False)
    return measured(lambda stages: detect(Path(state), settings, window=Window(), progress=stages))


def compacted(state: str) -> Spent:
    """Compaction of the whole state."""
    return measured(lambda _: compact(Path(state), memory_limit="4GB", threads=None))


def _accounts(world: str) -> Path:
    return Path(world) / "accounts.parquet"


def alone(work: Callable[..., Spent], *given: object) -> Spent:
    """The work in a process of its own, so that nothing is warm."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_named) as pool:
        return pool.submit(work, *given).result()


def _named() -> None:
    """Tell DuckDB that nobody types at this process: without a file it would draw its bars."""
    sys.modules["__main__"].__file__ = __file__


def embedding_bytes(state: Path) -> float:
    """Mean bytes of embeddings per account and day, uncompressed."""
    count, pairs = 0, set()
    for name in existing_manifest(state).folders:
        path = state / "parts" / name / "content.parquet"
        table = pq.read_table(path, columns=["account_id", "started_at", "embedding"])
        count += len(table) - table["embedding"].null_count
        days = [at.date() for at in table["started_at"].to_pylist()]
        pairs |= set(zip(table["account_id"].to_pylist(), days, strict=True))
    return count * EMBEDDING_BYTES / max(len(pairs), 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--world", type=Path, help="folder of a simulated world with one file a day")
    parser.add_argument("--scenario", default="feb2026")
    parser.add_argument("--scale", default="0.004")
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="increment-"))
    os.environ.setdefault(KEY_VARIABLE, str(scratch / "key"))
    try:
        report(given.world or _simulated(scratch / "world", given.scenario, given.scale), scratch)
    finally:
        shutil.rmtree(scratch)


def _simulated(world: Path, scenario: str, scale: str) -> Path:
    command = [sys.executable, "-m", "stillwatch", "simulate", str(world), "--scenario", scenario, "--scale", scale]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return world


def report(world: Path, scratch: Path) -> None:
    """Print the figures of one world."""
    state, logs = scratch / "state", sorted(map(str, (world / "exchanges").iterdir()))
    full = alone(scanned, str(world), str(scratch / "scanned"))
    weeks = [tuple(logs[:-1][start : start + 7]) for start in range(0, len(logs) - 1, 7)]
    before = alone(ingested, weeks, str(world), str(state))
    day = alone(ingested, [tuple(logs[-1:])], str(world), str(state))
    found = alone(detected, str(state), str(scratch / "detected"))
    same = [(scratch / name / "campaigns.json").read_bytes() for name in ("scanned", "detected")]
    held = holdings(state)
    print(f"{held['exchanges']:,} exchanges on {held['days']} days; campaigns equal: {same[0] == same[1]}")
    named = {"full scan": full, "earlier weeks' ingest": before, "last day's ingest": day, "detect": found}
    for title, spent in named.items():
        parts = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in spent.items() if stage != "total")
        print(f"{title:22} {spent['total']:8.1f} CPU-s  ({parts})")
    for name in ("clustering", "linkage"):
        increment = day["total"] + found["total"] - found[name]
        print(f"increment without {name}: {increment:.1f} CPU-s, {increment / full['total']:.2f} of the full scan")
    print(f"state: {held['bytes_per_million_exchanges']:,} bytes per million exchanges, by part {held['bytes']}")
    limit = EMBEDDINGS_PER_DAY * EMBEDDING_BYTES
    print(f"embeddings: {embedding_bytes(state):.0f} bytes per account and day on average, {limit} at most")
    spent = alone(compacted, str(state))
    print(
        f"compaction {spent['total']:.1f} CPU-s: {holdings(state)['bytes_per_million_exchanges']:,} bytes per million"
    )
    again = alone(detected, str(state), str(scratch / "compacted"))
    equal = (scratch / "compacted" / "campaigns.json").read_bytes() == same[0]
    print(f"detect after compaction {again['total']:.1f} CPU-s; campaigns equal: {equal}")


if __name__ == "__main__":
    main()
