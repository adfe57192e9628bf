"""Who is attached to a known campaign between two detections, rightly and wrongly, and after how many requests.

    python bench/newcomers.py [--scale 0.01] [--seeds 0 1] [--scenarios feb2026] [--held-out 0.3] [--first-days 14]

A share of all accounts, hostile and innocent alike, is held out of the first days, on which one detection runs. Then
everybody's remaining traffic is streamed in batches, day by day and without another detection, which is the worst that
can happen: whoever the detection did not see is a newcomer. Registrations are known from the beginning, as a provider
knows them. Printed per world: hostile newcomers of campaigns that the detection had found, how many were attached, and
after how many of their requests; innocent newcomers, and how many of them were attached; processor time per row.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch import ingest, store
from stillwatch.evaluation import simulate
from stillwatch.records import SIGNALS, arrow_schema
from stillwatch.scan import detect
from stillwatch.server.accounts.traits import signup_traits
from stillwatch.server.detection.newcomers import Newcomers
from stillwatch.server.detection.recognition import built
from stillwatch.settings import Settings, key_path, key_secret
from stillwatch.signals import signals
from stillwatch.state import Window
from stillwatch.upkeep import take_in

ROWS = 500  # of a streamed batch
SUMMED = (
    "campaigns",
    "hostile_newcomers",
    "hostile_attached",
    "to_their_own",
    "innocent_newcomers",
    "innocent_attached",
)


def main() -> None:
    """Print a line per world, and the sums."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=0.01)
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--scenarios", nargs="+", default=["feb2026"])
    options.add_argument("--held-out", type=float, default=0.3)
    options.add_argument("--first-days", type=int, default=14)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    sums: Counter[str] = Counter()
    for name in chosen.scenarios:
        for seed in chosen.seeds:
            with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
                world = Path(folder) / "world"
                simulate(world, scenario=name, scale=chosen.scale, seed=seed)
                told = measured(world, Path(folder), held_out=chosen.held_out, first_days=chosen.first_days, seed=seed)
            sums.update({key: told[key] for key in SUMMED})
            print(name, seed, told, flush=True)
    rate = 1_000_000 * sums["innocent_attached"] / max(sums["innocent_newcomers"], 1)
    print(f"in all {dict(sums)}; innocent newcomers attached per million: {rate:.1f}")


def measured(world: Path, folder: Path, *, held_out: float, first_days: int, seed: int) -> dict[str, Any]:
    """One detection over the first days, and what is attached of the rest."""
    truth = {row["account_id"]: row for row in pq.read_table(world / "truth.parquet").to_pylist()}
    later = set(random.Random(seed).sample(sorted(truth), round(held_out * len(truth))))
    days = sorted((world / "exchanges").glob("*.parquet"))
    out = _detected(world, folder, days[:first_days], later)
    index = built(out, number=1)
    open_to = _campaigns(out, truth)
    key = ingest.Key(key_secret(key_path()))
    accounts, _ = ingest.accounts(world / "accounts.parquet", key=key)
    shown = {row["account_id"]: list(signup_traits(row, key).items()) for row in accounts.to_pylist()}
    newcomers, requests, attached = Newcomers(), Counter[str](), dict[str, tuple[int, str]]()
    newcomers.load(index)
    seen = set(store.read_seen(out)["account_id"].to_pylist())
    rows, spent = 0, 0.0
    for batch in _streamed(days[first_days:], key):
        requests.update(batch["account_id"].to_pylist())
        began = time.process_time()
        newcomers.observe(batch)
        found = newcomers.found(lambda ids: {name: shown.get(name, ()) for name in ids})
        spent, rows = spent + time.process_time() - began, rows + batch.num_rows
        newcomers.settle(found)
        for newcomer in found:
            attached[newcomer.account_id] = (requests[newcomer.account_id], newcomer.attachment.campaign_id)
    return _told(truth, open_to, {name for name in requests if name not in seen}, attached) | {
        "microseconds_per_row": round(1e6 * spent / max(rows, 1), 2)
    }


def _told(
    truth: Mapping[str, Any],
    open_to: Mapping[str, str],
    newcomers: Collection[str],
    attached: Mapping[str, tuple[int, str]],
) -> dict[str, Any]:
    of_known = set(open_to.values())
    hostile = {name for name in newcomers if truth[name]["campaign"] in of_known}
    innocent = {name for name in newcomers if not truth[name]["is_hostile"]}
    right = {name: at for name, at in attached.items() if name in hostile}
    after = sorted(at for at, _ in right.values())
    wrong = sorted(set(attached) & innocent)
    return {
        "campaigns": len(of_known),
        "hostile_newcomers": len(hostile),
        "hostile_attached": len(right),
        "to_their_own": sum(open_to[campaign] == truth[name]["campaign"] for name, (_, campaign) in right.items()),
        "requests_median": median(after) if after else None,
        "requests_most": after[-1] if after else None,
        "innocent_newcomers": len(innocent),
        "innocent_attached": len(wrong),
        "wrong_segments": dict(Counter(truth[name]["segment"] for name in wrong)),
        "campaigns_of_wrong": sorted({attached[name][1] for name in wrong}),
    }


def _detected(world: Path, folder: Path, days: list[Path], later: Collection[str]) -> Path:
    """The output of a detection over these days without the accounts that are held out."""
    logs = folder / "first"
    logs.mkdir()
    for day in days:
        table = pq.read_table(day)
        kept = pc.invert(pc.is_in(table["account_id"], pa.array(sorted(later), pa.string())))
        pq.write_table(table.filter(kept), logs / day.name)
    state, out = folder / "state", folder / "out"
    settings = Settings(logs=(str(logs),), out=state, accounts=world / "accounts.parquet", exemplars=False)
    take_in(state, settings, progress=lambda *_: None)
    detect(state, Settings(logs=(), out=out, exemplars=False), window=Window(), progress=lambda *_: None)
    return out


def _campaigns(out: Path, truth: Mapping[str, Any]) -> dict[str, str]:
    """The true campaign of most accounts of each distillation campaign that was found."""
    found = {}
    for campaign in store.read_campaigns(out):
        owners = Counter(truth[account_id]["campaign"] or "" for account_id in campaign["account_ids"])
        if campaign["verdict"] == "distillation":
            found[campaign["campaign_id"]] = owners.most_common(1)[0][0]
    return found


def _streamed(days: list[Path], key: ingest.Key) -> Iterator[pa.Table]:
    """The derived signals of what comes later, in small batches."""
    schema = arrow_schema(SIGNALS)
    for batch in ingest.exchanges(days, key=key, input_format="parquet", threads=1):
        derived = pa.Table.from_batches([signals(batch.exchanges, schema)])
        for start in range(0, derived.num_rows, ROWS):
            yield derived.slice(start, ROWS)


if __name__ == "__main__":
    main()
