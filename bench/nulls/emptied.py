"""A world with its hostile accounts taken out: nobody is left who should be accused."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SECRET = bytes(range(32))  # any key does, but always the same one


def simulated(folder: Path, scenario: str, scale: float, seed: int, flags: list[str]) -> None:
    """A world, by the public command."""
    command = [sys.executable, "-m", "stillwatch", "simulate", str(folder), "--scenario", scenario]
    command += ["--scale", str(scale), "--seed", str(seed), *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def empty(folder: Path) -> int:
    """Take the hostile accounts, victims with stolen keys included, out of a world's files; returns who is left."""
    truth = pq.read_table(folder / "truth.parquet")
    hostile = truth.filter(truth["is_hostile"])["account_id"].combine_chunks()
    for path in (folder / "truth.parquet", folder / "accounts.parquet", *(folder / "exchanges").glob("*.parquet")):
        table = pq.read_table(path)
        pq.write_table(table.filter(pc.invert(pc.is_in(table["account_id"], hostile))), path)
    return int(truth.num_rows - len(hostile))


def scanned(folder: Path, out: Path) -> tuple[dict[str, int], dict[str, int], float]:
    """Campaigns by verdict, accounts in them by verdict, and CPU-seconds of `stillwatch scan`."""
    key = out.with_suffix(".key")
    key.write_bytes(SECRET)
    command = [sys.executable, "-m", "stillwatch", "scan", str(folder / "exchanges" / "*.parquet")]
    command += ["--accounts", str(folder / "accounts.parquet"), "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "STILLWATCH_KEY_FILE": str(key)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    campaigns = Counter(each["verdict"] for each in json.loads((out / "campaigns.json").read_text("utf-8")))
    accounts = Counter(_verdicts(out / "accounts.parquet"))
    return dict(campaigns), dict(accounts), after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _verdicts(path: Path) -> list[str]:
    names: pa.ChunkedArray = pq.read_table(path, columns=["verdict"])["verdict"]
    return [str(name) for name in names.to_pylist()]
