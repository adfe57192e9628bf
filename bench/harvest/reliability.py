"""How reliable the harvest test's p-value is, on simulated worlds: `python -m bench.harvest.reliability WORLD...`.

Every world is scanned anew. A cluster is legitimate when no member is hostile, and hostile when most are. Were the
p-value exact, one legitimate cluster in ten would have 0.1 or less; it should have that at most as often.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from stillwatch.evaluation.measures import Share

LEVELS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Tested:
    """One cluster whose harvest was tested: p-value, result, and whether it is hostile (None: some members are)."""

    p_value: float
    is_proven: bool
    is_hostile: bool | None


def main() -> None:
    """Scan the worlds and print the table on standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.harvest.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("world", type=Path, nargs="+", metavar="WORLD", help="folders that `stillwatch simulate` wrote")
    found: list[Tested] = []
    for world in parser.parse_args().world:
        print(f"scanning {world}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-reliability-") as out:
            found += judged(_scanned(world, Path(out)), world / "truth.parquet")
    print(markdown(found))


def _scanned(world: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "stillwatch", "scan", str(world / "exchanges" / "*.parquet")]
    command += ["--accounts", str(world / "accounts.parquet"), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out / "campaigns.json"


def judged(campaigns: Path, truth: Path) -> list[Tested]:
    """Every campaign of a scan whose harvest was tested, held against the truth."""
    rows = pq.read_table(truth, columns=["account_id", "is_hostile"]).to_pylist()
    hostile = {row["account_id"] for row in rows if row["is_hostile"]}
    found = []
    for campaign in json.loads(campaigns.read_text(encoding="utf-8")):
        share = sum(account in hostile for account in campaign["account_ids"]) / len(campaign["account_ids"])
        is_hostile = None if 0 < share <= 0.5 else share > 0.5
        test = campaign["harvest"]
        if test["p_value"] is not None:
            found.append(Tested(test["p_value"], test["result"] == "proven", is_hostile))
    return found


def markdown(found: Sequence[Tested]) -> str:
    """Of legitimate and hostile clusters, how many have a p-value at each level or below, and how many are proven."""
    sides = [[row for row in found if row.is_hostile is kind] for kind in (False, True)]
    lines = [
        "| p-value at most | legitimate clusters (95 %) | hostile clusters (95 %) |",
        "|---|---|---|",
    ]
    for level in LEVELS:
        cells = [_share(sum(row.p_value <= level for row in side), len(side)) for side in sides]
        lines.append(f"| {level:g} | {cells[0]} | {cells[1]} |")
    cells = [_share(sum(row.is_proven for row in side), len(side)) for side in sides]
    return "\n".join([*lines, f"| harvest proven | {cells[0]} | {cells[1]} |"])


def _share(count: int, total: int) -> str:
    if not total:
        return "none"
    share = Share(count, total)
    return f"{count} of {total} ({share.low:.1%} to {share.high:.1%})"


if __name__ == "__main__":
    main()
