"""Are successors of banned pools linked, and campaigns of strangers not? Two windows, scanned one after the other.

    python bench/lineage.py [--scale 0.005] [--seeds 1] [--settings successor takeover strangers] [--folder DIR]

Three settings for each seed; the second window is scanned into the output of the first.

    successor   `two-pools`, cut at the ban: the second pool has to be linked to the first
    takeover    `feb2026`, of whose three campaigns one is left in the first window and the two others in the second:
                whoever begins when it stops is somebody else, so every link between them is false
    strangers   the first window of one world, the second of another: every link is false
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.evaluation import simulate
from stillwatch.scan import scan
from stillwatch.settings import Settings

OPERATORS = ("lab-a", "lab-b", "lab-c")
Campaign = dict[str, Any]


def main() -> None:
    """Print a line per run, and the sums."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=0.005)
    options.add_argument("--seeds", type=int, nargs="+", default=[1])
    options.add_argument("--settings", nargs="+", default=["successor", "takeover", "strangers"])
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for setting in chosen.settings:
            sums: Counter[str] = Counter()
            for seed in chosen.seeds:
                for told in RUNS[setting](Path(folder), chosen.scale, seed):
                    sums.update({name: value for name, value in told.items() if isinstance(value, int)})
                    print(f"{setting:10} seed {seed}: {json.dumps(told)}", flush=True)
            print(f"{setting:10} all: {dict(sums)}", flush=True)


def successor(folder: Path, scale: float, seed: int) -> Iterator[dict[str, Any]]:
    """One line: how the campaigns of the second pool are linked to those of the first."""
    world = _world(folder, "two-pools", scale, seed)
    owners = _owners(world)
    before, after = _scanned(folder, (world, 0, ()), (world, 1, ()))
    first = {c["campaign_id"] for c in before if _owner(c, owners) == "pool-1"}
    second = [c for c in after if _owner(c, owners) == "pool-2" or c["campaign_id"] in first]
    linked = [c for c in second if c["campaign_id"] in first or first & set(_displaced(c))]
    others = [c for c in after if c not in second]
    yield {
        "found_first": int(bool(first)),
        "found_second": int(bool(second)),
        "linked": int(bool(linked)),
        "kept_id": int(any(c["campaign_id"] in first for c in linked)),
        "false": sum(len(_displaced(c)) for c in others),
        "bits": [kin["bits"] for c in linked for kin in c["lineage"] if kin["campaign_id"] in first],
        "displacement": [
            {
                name: row[name]
                for name in ("accounts_stopped", "accounts_that_took_over", "delay_hours", "regained_share")
            }
            for c in linked
            for row in c["displacement"]
            if row["from_campaign_id"] in first
        ],
    }


def takeover(folder: Path, scale: float, seed: int) -> Iterator[dict[str, Any]]:
    """A line per operator that stops while the two others begin."""
    world = _world(folder, "feb2026", scale, seed)
    owners = _owners(world)
    for name in OPERATORS:
        others = [other for other in OPERATORS if other != name]
        before, after = _scanned(folder, (world, 0, others), (world, 1, [name]))
        of = {c["campaign_id"]: _owner(c, owners) for c in (*after, *before)}
        begun = [c for c in after if _owner(c, owners) in others]
        yield {
            "stopped": sum(owner == name for owner in of.values()),
            "begun": len(begun),
            "false": sum(of.get(kin) != _owner(c, owners) for c in after for kin in _displaced(c)),
        }


def strangers(folder: Path, scale: float, seed: int) -> Iterator[dict[str, Any]]:
    """One line: every link between two worlds."""
    worlds = [_world(folder, "feb2026", scale, seed + offset) for offset in (0, 1000)]
    before, after = _scanned(folder, (worlds[0], 0, ()), (worlds[1], 1, ()))
    yield {
        "before": len(before),
        "after": len(after),
        "pairs": len(before) * len(after),
        "false": sum(len(_displaced(c)) for c in after),
    }


RUNS = {"successor": successor, "takeover": takeover, "strangers": strangers}


def _world(folder: Path, scenario: str, scale: float, seed: int) -> Path:
    world = folder / f"{scenario}-{seed}"
    if not world.exists():
        simulate(world, scenario=scenario, scale=scale, seed=seed)
    return world


def _owners(world: Path) -> dict[str, str]:
    rows = pq.read_table(world / "truth.parquet").to_pylist()
    return {row["account_id"]: row["campaign"] or row["segment"] for row in rows}


def _owner(campaign: Campaign, owners: dict[str, str]) -> str:
    """Whose the most of its accounts are."""
    return Counter(owners[name] for name in campaign["account_ids"]).most_common(1)[0][0]


def _displaced(campaign: Campaign) -> list[str]:
    return [kin["campaign_id"] for kin in campaign["lineage"] if kin["relation"] == "displaced_from"]


def _scanned(folder: Path, *windows: tuple[Path, int, Collection[str]]) -> list[list[Campaign]]:
    """The campaigns of each window (a world, its first or second half, operators left out), in one output folder."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        found = []
        for number, (world, half, without) in enumerate(windows):
            logs = Path(work) / f"logs-{number}"
            _write_half(world, half, without, logs)
            settings = Settings(logs=(str(logs),), accounts=world / "accounts.parquet", out=Path(work) / "out")
            found.append(scan(settings, progress=lambda *_: None).campaigns)
        return found


def _write_half(world: Path, half: int, without: Collection[str], logs: Path) -> None:
    logs.mkdir()
    left_out = pa.array([name for name, owner in _owners(world).items() if owner in without], pa.string())
    files = sorted((world / "exchanges").glob("*.parquet"))
    middle = len(files) // 2
    for file in files[:middle] if half == 0 else files[middle:]:
        table = pq.read_table(file)
        kept = table.filter(pc.invert(pc.is_in(table["account_id"], left_out.cast(table["account_id"].type))))
        pq.write_table(kept, logs / file.name)


if __name__ == "__main__":
    main()
