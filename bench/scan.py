"""A whole scan of growing worlds, beside DuckDB reading the same files once, and how its cost grows.

    python bench/scan.py [--millions 1 4] [--runs 3] [--text] [--worlds DIR]

Worlds are `feb2026` without prompts, or with the built-in ones (`--text`). Every scan is a process of its own, as a
user would start it; seconds include its start. The floor reads every column of every exchange once, and each byte of
the prompts. 64 million exchanges without prompts take some 7 GB of disk and the simulator five minutes.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from stillwatch.records import EXCHANGES

SEED = 7
MILLIONS_AT_SCALE_1 = 44.86  # exchanges of feb2026
SECRET = bytes(range(32))  # any key does, but always the same one


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the runs on one world."""

    exchanges: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    floor_s: float
    floor_cpu_s: float
    stages: dict[str, float]  # wall seconds of the last run


def main() -> None:
    """Simulate what is missing, time scans and floors, print both tables."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-scan-") as scratch:
        folder = wanted.worlds or Path(scratch)
        rows = [
            _measured(_world(folder, millions, wanted.text), Path(scratch), wanted.runs) for millions in wanted.millions
        ]
    print("\n".join(table(rows)))


def table(rows: list[Measured]) -> list[str]:
    """A line per world, its stages, and the exponent by which time grew since the one before."""
    lines = [
        "| exchanges | scan, s | CPU s | peak memory | floor, s | CPU s | scan / floor, CPU | exponent |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for before, row in zip([None, *rows], rows, strict=False):
        growth = "-" if before is None else f"{exponent(before, row):.2f}"
        lines.append(
            f"| {row.exchanges:,} | {row.seconds:.1f} | {row.cpu_s:.1f} | {row.peak_bytes / 1e9:.2f} GB "
            f"| {row.floor_s:.2f} | {row.floor_cpu_s:.2f} | {row.cpu_s / row.floor_cpu_s:.1f} | {growth} |"
        )
    if len(rows) > 1:
        lines.append(f"\nFrom the first to the last, seconds grow with exponent {exponent(rows[0], rows[-1]):.2f}.")
    names = list(rows[0].stages)
    lines += ["", "| exchanges | " + " | ".join(names) + " |", "|---:|" + "---:|" * len(names)]
    for row in rows:
        lines.append(f"| {row.exchanges:,} | " + " | ".join(f"{row.stages[name]:.1f} s" for name in names) + " |")
    return lines


def exponent(before: Measured, row: Measured) -> float:
    """Exponent b of seconds = a · exchanges^b through two worlds."""
    return math.log(row.seconds / before.seconds) / math.log(row.exchanges / before.exchanges)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--millions", type=float, nargs="+", default=[1.0, 4.0], metavar="N", help="exchanges of each world (1 and 4)")
    add("--runs", type=int, default=3, help="runs of scan and floor on each world, medians are printed (3)")
    add("--text", action="store_true", help="with the built-in prompts")
    add("--worlds", type=Path, metavar="DIR", help="keep the worlds here, and take those that are there")
    return parser.parse_args()


def _world(folder: Path, millions: float, text: bool) -> Path:
    """A world of about so many million exchanges."""
    world = folder / f"feb2026-{millions:g}M-{'text' if text else 'no-text'}"
    if not (world / "world.json").is_file():
        _say(f"simulating {world.name}")
        command = [sys.executable, "-m", "stillwatch", "simulate", str(world), "--scenario", "feb2026"]
        command += ["--scale", f"{millions / MILLIONS_AT_SCALE_1:.5f}", "--seed", str(SEED)]
        subprocess.run([*command, *([] if text else ["--no-text"])], check=True, stdout=subprocess.DEVNULL)
    return world


def _measured(world: Path, scratch: Path, runs: int) -> Measured:
    scans = [_scan(world, scratch / f"{world.name}-{run}", scratch / "key") for run in range(runs)]
    floors = [_floor(world) for _ in range(runs)]
    return Measured(
        exchanges=json.loads((world / "world.json").read_text())["exchanges"],
        seconds=statistics.median(scan["seconds"] for scan in scans),
        cpu_s=statistics.median(scan["cpu_s"] for scan in scans),
        peak_bytes=max(scan["peak_bytes"] for scan in scans),
        floor_s=statistics.median(seconds for seconds, _ in floors),
        floor_cpu_s=statistics.median(cpu_s for _, cpu_s in floors),
        stages=scans[-1]["stages"],
    )


def _scan(world: Path, out: Path, key: Path) -> dict[str, Any]:
    """One scan in a new process: what the system counted for it, and what run.json says."""
    key.write_bytes(SECRET)
    command = [sys.executable, "-m", "stillwatch", "scan", str(world / "exchanges" / "*.parquet")]
    command += ["--accounts", str(world / "accounts.parquet"), "--out", str(out), "--format", "json"]
    environment = {**os.environ, "STILLWATCH_KEY_FILE": str(key)}
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"The scan of {world} ended with {process.returncode}: run it by hand to see why.")
    stages = json.loads((out / "run.json").read_text())["seconds"]
    cpu_s = usage.ru_utime + usage.ru_stime
    _say(f"{world.name}: {seconds:.1f} s, {cpu_s:.1f} CPU s")
    return {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": usage.ru_maxrss * 1024, "stages": stages}


def _floor(world: Path) -> tuple[float, float]:
    """Seconds and CPU-seconds to read every column once, and to pass once over the bytes of the prompts."""
    counted = ", ".join(f'count("{name}")' for name in EXCHANGES.names if name != "completion")
    began, cpu_began = time.perf_counter(), time.process_time()
    duckdb.sql(f"SELECT {counted} FROM read_parquet('{world}/exchanges/*.parquet')").fetchall()  # noqa: S608 - our own
    for path in sorted((world / "exchanges").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=["prompt"]):
            data = batch.column(0).buffers()[2]
            zlib.crc32(b"" if data is None else memoryview(data))
    return time.perf_counter() - began, time.process_time() - cpu_began


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
