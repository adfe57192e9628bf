"""What readings of sign-ups are worth: a quarter of a world's accounts sign up after a detection that never saw them.

Printed is how many of each segment read none, low, elevated and high, and what a sign-up costs in CPU:

    python bench/signups.py --world WORLD
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from stillwatch import store
from stillwatch.scan import scan
from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.accounts.reading import LEVELS
from stillwatch.server.settings import DETECTIONS, Storing
from stillwatch.settings import KEY_VARIABLE, Settings

HELD_OUT = 4  # one account in so many signs up after the detection
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU of one sign-up [ms]: in a list of AT_ONCE, and in a request of its own."""

    in_list_ms: float
    alone_ms: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Detect, sign up, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, required=True, help="folder that `stillwatch simulate` wrote")
    world = parser.parse_args(arguments).world
    with tempfile.TemporaryDirectory() as folder:
        os.environ[KEY_VARIABLE] = str(Path(folder) / "key")
        detected(world, Path(folder))
        with served(Path(folder) / "state") as (service, client):
            replies, spent = signed_up(world, service, client)
    truth = {row["account_id"]: row for row in pq.read_table(world / "truth.parquet").to_pylist()}
    print_levels(replies, truth)
    sys.stdout.write(f"\nCPU of a sign-up by itself {spent.alone_ms:.1f} ms, in a list {spent.in_list_ms:.1f} ms\n")


def is_held_out(account_id: str) -> bool:
    """Whether the account signs up after the detection; the same in every run."""
    return hashlib.sha256(account_id.encode()).digest()[0] % HELD_OUT == 0


def detected(world: Path, folder: Path) -> None:
    """A detection over the traffic of the accounts that are there already, where the service looks for it."""
    logs = folder / "logs"
    logs.mkdir()
    for path in sorted((world / "exchanges").glob("*.parquet")):
        table = pq.read_table(path)
        known = pa.array([not is_held_out(one) for one in table["account_id"].to_pylist()])
        pq.write_table(table.filter(known), logs / path.name)
    out = folder / "state" / DETECTIONS
    accounts = world / "accounts.parquet"
    scan(Settings(logs=(str(logs),), out=out, accounts=accounts, exemplars=False), progress=lambda *_: None)
    sys.stdout.write(f"campaigns: {Counter(one['verdict'] for one in store.read_campaigns(out))}\n")


@contextmanager
def served(state: Path) -> Iterator[tuple[Service, TestClient]]:
    """The service over that state, in this process."""
    with opened(ServerSettings(storage=Storing(state=state))) as service, TestClient(application(service)) as client:
        key = made_key(service.database, name="bench", roles=["ingest"], by="bench", now=service.now())
        client.headers["X-API-Key"] = key
        yield service, client


def signed_up(world: Path, service: Service, client: TestClient) -> tuple[list[dict[str, Any]], Spent]:
    """Replies to the accounts that were held out, in the order in which they signed up, and what they cost."""
    table = pq.read_table(world / "accounts.parquet").sort_by("created_at")
    times = {name: pc.strftime(table[name], "%Y-%m-%dT%H:%M:%SZ") for name in ("created_at", "verified_at")}
    for name, values in times.items():
        table = table.set_column(table.column_names.index(name), name, values)
    rows = table.to_pylist()
    known = [row for row in rows if not is_held_out(row["account_id"])]
    new = [row for row in rows if is_held_out(row["account_id"])]
    began = process_time()
    for start in range(0, len(known), AT_ONCE):
        client.post("/v1/accounts", json=known[start : start + AT_ONCE]).raise_for_status()
    between = process_time()
    replies = [client.post("/v1/accounts", json=row).raise_for_status().json() for row in new]
    return replies, Spent(1e3 * (between - began) / len(known), 1e3 * (process_time() - between) / len(new))


def print_levels(replies: Sequence[dict[str, Any]], truth: dict[str, dict[str, Any]]) -> None:
    """A row per segment; hostile ones last."""
    counted: dict[tuple[bool, str], Counter[str]] = {}
    for reply in replies:
        who = truth[reply["account_id"]]
        counted.setdefault((who["is_hostile"], who["segment"]), Counter())[reply["reading"]["level"]] += 1
    sys.stdout.write(f"\n{'':12}{'segment':18}" + "".join(f"{level:>10}" for level in LEVELS) + "\n")
    for (is_hostile, segment), levels in sorted(counted.items()):
        kind = "hostile" if is_hostile else "legitimate"
        sys.stdout.write(f"{kind:12}{segment:18}" + "".join(f"{levels[level]:>10}" for level in LEVELS) + "\n")
    kinds = Counter(
        (truth[one["account_id"]]["is_hostile"], reason["kind"])
        for one in replies
        for reason in one["reading"]["reasons"]
        if reason["weighs"]
    )
    sys.stdout.write(f"\nreasons that weigh: {dict(kinds)}\n")


if __name__ == "__main__":
    main()
