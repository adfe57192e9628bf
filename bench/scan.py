"""A whole scan of a million exchanges with text, beside a plain DuckDB scan of the same files.

Usage: python bench/scan.py [--exchanges N] [--accounts N] [--runs N]

Prints medians of seconds and peak memory, and the ratio to the floor: DuckDB reading every column of every file once.
Each run is a process of its own, as a user would start it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.records import ACCOUNTS, EXCHANGES, arrow_schema

WORDS = 4000  # vocabulary of the made-up text
TEMPLATES = 3000
CHARS_PER_WORD = 6
ROWS_PER_FILE = 125_000
START_US = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1e6)


def main() -> None:
    """Make the files, then time scan and floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size = _make(root, wanted.exchanges, wanted.accounts)
        print(
            f"{wanted.exchanges:,} exchanges of {wanted.accounts:,} accounts, "
            f"{size / wanted.exchanges:,.0f} prompt bytes each"
        )
        scans = [_scan(root, run) for run in range(wanted.runs)]
        floors = [_floor(root) for _ in range(wanted.runs)]
    seconds = statistics.median(scan["seconds"] for scan in scans)
    floor = statistics.median(floors)
    peak = max(scan["peak_memory_bytes"] for scan in scans) / 1e9
    print(f"scan   {seconds:8.1f} s   peak {peak:.2f} GB   (median of {wanted.runs})")
    print(f"floor  {floor:8.1f} s   DuckDB reads the same columns")
    print(f"ratio  {seconds / floor:8.1f}")
    for stage, spent in scans[-1]["stages"].items():
        print(f"  {stage:10} {spent:7.1f} s")


def _scan(root: Path, run: int) -> dict[str, Any]:
    """One scan in a fresh process: wall seconds with start-up, and what run.json says."""
    out = root / f"out{run}"
    command = [sys.executable, "-m", "stillwatch", "scan", str(root / "*.parquet"), "--accounts"]
    command += [str(root / "accounts" / "accounts.parquet"), "--out", str(out), "--format", "json"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    run_record = json.loads((out / "run.json").read_text())
    return {"seconds": seconds, "peak_memory_bytes": run_record["peak_memory_bytes"], "stages": run_record["seconds"]}


def _floor(root: Path) -> float:
    """Seconds DuckDB takes to read every column once."""
    names = ", ".join(f'count("{name}")' for name in EXCHANGES.names) + ", sum(strlen(prompt))"
    began = time.perf_counter()
    duckdb.sql(f"SELECT {names} FROM read_parquet('{root}/*.parquet')").fetchall()  # noqa: S608 - our own names
    return time.perf_counter() - began


def _make(root: Path, exchanges: int, accounts: int) -> int:
    """Write the files; total bytes of prompt text."""
    rng = np.random.default_rng(7)
    (root / "accounts").mkdir()
    names = pa.array([f"acct_{i:06d}" for i in range(accounts)])
    _write(root / "accounts" / "accounts.parquet", _accounts(names, rng), arrow_schema(ACCOUNTS))
    words = pa.array(["".join(rng.choice(list("etaoinshrdlu"), CHARS_PER_WORD)) for _ in range(WORDS)])
    templates = [_sentence(rng, words, 40) for _ in range(TEMPLATES)]
    texts = pa.array(templates)
    total = 0
    for part in range(-(-exchanges // ROWS_PER_FILE)):
        rows = min(ROWS_PER_FILE, exchanges - part * ROWS_PER_FILE)
        table, chars = _exchanges(part, rows, names, words, texts, rng)
        total += chars
        _write(root / f"part-{part:03d}.parquet", table, arrow_schema(EXCHANGES))
    return total


def _sentence(rng: np.random.Generator, words: pa.Array, length: int) -> str:
    return " ".join(words.take(pa.array(rng.integers(0, WORDS, length))).to_pylist())


def _exchanges(
    part: int, rows: int, names: pa.Array, words: pa.Array, texts: pa.Array, rng: np.random.Generator
) -> tuple[dict[str, pa.Array], int]:
    """One file: a template each account favours, and about 100 further words of its own."""
    account = rng.integers(0, len(names), rows)
    favourite = (account * 7 + rng.integers(0, 3, rows)) % TEMPLATES
    offsets = pa.array(np.arange(0, rows * 100 + 1, 100, dtype=np.int32))
    slots = pc.binary_join(
        pa.ListArray.from_arrays(offsets, words.take(pa.array(rng.integers(0, WORDS, rows * 100)))), " "
    )
    prompt = pc.binary_join_element_wise(texts.take(pa.array(favourite)), slots, "\n\n")
    started = START_US + rng.integers(0, 7 * 86400 * 1_000_000, rows)
    address = pa.array([f"10.{i // 65536 % 256}.{i // 256 % 256}.{i % 256}" for i in range(len(names))])
    columns = {
        "exchange_id": pa.array([f"e{part:04d}-{i:07d}" for i in range(rows)]),
        "started_at": pa.array(started, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "account_id": names.take(pa.array(account)),
        "model": pa.array(["model-a", "model-b"]).take(pa.array(rng.integers(0, 2, rows))),
        "client_ip": address.take(pa.array((account + rng.integers(0, 3, rows)) % len(names))),
        "user_agent": pa.array([f"client/{i}" for i in range(40)]).take(pa.array(account % 40)),
        "prompt": prompt,
        "turn_count": pa.array(rng.integers(1, 9, rows), pa.int32()),
        "input_tokens": pa.array(rng.integers(100, 900, rows)),
        "output_tokens": pa.array(rng.integers(10, 2000, rows)),
    }
    return columns, int(pc.sum(pc.binary_length(prompt)).as_py())


def _accounts(names: pa.Array, rng: np.random.Generator) -> dict[str, pa.Array]:
    cards = pa.array([f"card-{i}" for i in rng.integers(0, len(names) * 9 // 10, len(names))])
    programme = pa.array(["free", "paid", "education"]).take(pa.array(rng.integers(0, 3, len(names))))
    return {"account_id": names, "payment_fingerprint": cards, "access_program": programme}


def _write(path: Path, columns: dict[str, pa.Array], schema: pa.Schema) -> None:
    """Write the columns there are; the rest are null."""
    rows = len(next(iter(columns.values())))
    arrays = [columns.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    pq.write_table(pa.table(arrays, schema=schema), path, compression="zstd")


if __name__ == "__main__":
    main()
