"""One simulated world, split over two providers: the campaign's first pool at one, its second at the other.

The second provider may see the campaign reworded: the world is simulated twice from one seed, and the second time
every call replaces some of the words. Times are moved by whole weeks, so that the world ends now: what is shared
expires.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FIRST, SECOND = "pool-1", "pool-2"
SCENARIO, OTHER_SCENARIO = "two-pools", "feb2026"
TIMES = ("started_at", "created_at", "verified_at")


@dataclass(frozen=True, slots=True)
class Side:
    """What one provider has: logs, accounts and, for the judge alone, the truth; the world begins at `starts_at`."""

    folder: Path
    starts_at: datetime
    days: int

    @property
    def logs(self) -> str:
        """Its logs, as a glob."""
        return str(self.folder / "exchanges" / "*.parquet")

    @property
    def accounts(self) -> Path:
        """Its accounts."""
        return self.folder / "accounts.parquet"

    @property
    def truth(self) -> Path:
        """Who is hostile."""
        return self.folder / "truth.parquet"


def sides(folder: Path, *, seed: int, scale: float, reworded: float, extra: Sequence[str] = ()) -> tuple[Side, Side]:
    """The first provider's side and the second's; `extra` are further words for `stillwatch simulate`."""
    plain = _simulated(folder / "plain", seed, scale, extra)
    other = (
        _simulated(folder / "other", seed, scale, [*extra, "--dose", f"paraphrase={reworded}"]) if reworded else plain
    )
    return _side(plain, folder / "first", FIRST), _side(other, folder / "second", SECOND)


def elsewhere(folder: Path, *, seed: int, scale: float, extra: Sequence[str] = ()) -> Path:
    """A world of other campaigns, that have nothing to do with those of the two sides."""
    return _simulated(folder, seed, scale, extra, scenario=OTHER_SCENARIO)


def _simulated(folder: Path, seed: int, scale: float, extra: Sequence[str], *, scenario: str = SCENARIO) -> Path:
    command = [sys.executable, "-m", "stillwatch", "simulate", str(folder), "--scenario", scenario]
    command += ["--scale", str(scale), "--seed", str(seed), *extra]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _side(world: Path, folder: Path, pool: str) -> Side:
    """The accounts of the pool and half of everybody else, with their exchanges."""
    (folder / "exchanges").mkdir(parents=True)
    truth = pq.read_table(world / "truth.parquet")
    rows = zip(truth["account_id"].to_pylist(), truth["campaign"].to_pylist(), strict=True)
    chosen = pa.array([one for one, campaign in rows if campaign == pool or (campaign is None and _is_of(one, pool))])
    tables = {name: pq.read_table(world / f"{name}.parquet") for name in ("accounts", "truth")}
    logs = {path.name: pq.read_table(path) for path in sorted((world / "exchanges").glob("*.parquet"))}
    about = json.loads((world / "world.json").read_text("utf-8"))
    began = datetime.fromisoformat(about["starts_at"])
    moved = timedelta(weeks=(datetime.now(UTC) - began - timedelta(days=about["days"])) // timedelta(weeks=1))
    for name, log in logs.items():
        pq.write_table(_moved(_of(log, chosen), moved), folder / "exchanges" / name)
    for name, table in tables.items():
        pq.write_table(_moved(_of(table, chosen), moved), folder / f"{name}.parquet")
    return Side(folder, began + moved, about["days"])


def _is_of(account_id: str, pool: str) -> bool:
    """Which provider a customer is with: a coin that the account's id tosses."""
    return hashlib.sha256(account_id.encode()).digest()[0] % 2 == (FIRST, SECOND).index(pool)


def _of(table: pa.Table, accounts: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["account_id"], accounts))


def _moved(table: pa.Table, by: timedelta) -> pa.Table:
    for name in set(TIMES) & set(table.column_names):
        kind = table.schema.field(name).type
        later = pc.add(table[name], pa.scalar(by, pa.duration("us"))).cast(kind)
        table = table.set_column(table.column_names.index(name), name, later)
    return table
