"""What had leaked before a campaign was first reported, with a run at the end of every hour.

Signals of the whole window are derived once. A run as of an hour is the pipeline on the exchanges that began, and the
accounts that were created, before it. Which of the hours was the first to report a campaign is searched: its first
three days hour by hour, then galloping, bisection, and a look at hours before and after (bench/exposure/search.py says
how, and what that misses).
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from stillwatch import ingest
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.intake import intake
from stillwatch.settings import Settings

from .campaigns import LONG_DAYS, MOST_RUNS, MOST_SHARE, Report, reports, true_campaigns
from .prefix import Runs

HEADER = (
    "world",
    "campaign",
    "days",
    "called",
    "reported when there is",
    "hours after its start",
    "exchanges before",
    "accounts at work",
    "of them accused",
    "minimum detectable",
    "runs since it was that large",
    "still so in the next hours",
    "target met",
)
Row = tuple[str, str, Report]  # world, what counts as reported, the first report

CALLED = {"distillation": frozenset({"distillation"}), "or coordinated": frozenset({"distillation", "coordinated"})}
NOTES = f"""\
hours after its start: from the campaign's first exchange in the window to the end of the run's hour.
exchanges before: share of all exchanges of its accounts in the window, unrelated ones included, that began before then.
minimum detectable: accounts, as that run states it; it assumes evidence thicker than most campaigns leave.
target: at most {MOST_SHARE:.0%} before, of a campaign of {LONG_DAYS} days or more; else at most {MOST_RUNS} runs after
  it reached that size."""


def main() -> None:
    """Print one table for all worlds on standard output; progress goes to standard error."""
    wanted = _arguments()
    rows: list[Row] = []
    worlds: list[Path | int] = list(wanted.world or wanted.seed)
    for world in worlds:
        with tempfile.TemporaryDirectory(prefix="bench-exposure-") as scratch:
            folder = world if isinstance(world, Path) else _simulated(wanted, world, Path(scratch))
            rows += _reports(wanted, folder, Path(scratch))
    print(markdown(rows))
    print()
    print(NOTES)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.exposure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scenario", default="jun2026", metavar="NAME", help="scenario to simulate (default: jun2026)")
    add("--scale", type=float, default=0.01, metavar="X", help="1 is the size providers disclosed (default: 0.01)")
    add("--days", type=int, metavar="N", help="days to simulate (default: the scenario's own)")
    add("--seed", type=int, nargs="+", default=[400], metavar="N", help="seeds of the worlds (default: 400)")
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--dose", action="append", default=[], metavar="NAME=VALUE", help="as for simulate; may be given again")
    add("--world", type=Path, nargs="+", metavar="DIR", help="worlds that exist, instead of simulating")
    add("--threads", type=int, metavar="N", help="threads (default: all cores)")
    add("--memory-limit", default="4GB", metavar="SIZE", help="what tables may take before they spill (default: 4GB)")
    return parser.parse_args()


def _simulated(wanted: argparse.Namespace, seed: int, scratch: Path) -> Path:
    folder = scratch / "world"
    command = [sys.executable, "-m", "stillwatch", "simulate", str(folder), "--scenario", wanted.scenario]
    command += ["--scale", str(wanted.scale), "--seed", str(seed)]
    for flag, value in (("--days", wanted.days), ("--prompts", wanted.prompts), ("--timing", wanted.timing)):
        command += [flag, str(value)] if value else []
    for dose in wanted.dose:
        command += ["--dose", dose]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _reports(wanted: argparse.Namespace, folder: Path, scratch: Path) -> list[Row]:
    """The reports on one world, for what counts as reported in each way."""
    about = json.loads((folder / "world.json").read_text("utf-8"))
    name = f"{about['scenario']}, scale {about['scale']:g}, seed {about['seed']}"
    settings = Settings(
        logs=(str(folder / "exchanges" / "*.parquet"),),
        out=scratch / "out",
        accounts=folder / "accounts.parquet",
        threads=wanted.threads,
        memory_limit=wanted.memory_limit,
        exemplars=False,
    )
    key = ingest.Key(hashlib.sha256(b"bench.exposure").digest())
    _say(f"{name}: reading")
    with EmbeddedEngine(scratch / "tables", memory_limit=wanted.memory_limit, threads=wanted.threads) as engine:
        taken = intake(settings, engine, key=key, work=scratch / "tables", progress=lambda stage, done, total: None)
        campaigns = true_campaigns(folder / "truth.parquet", taken.signals)
        hostile = frozenset().union(*(campaign.members for campaign in campaigns))
        begins = datetime.fromisoformat(about["starts_at"])
        runs, hours = Runs(taken, engine, settings, begins, frozenset(), say=_say), about["days"] * 24
        found = [
            (name, called, row)
            for campaign in campaigns
            for called, verdicts in CALLED.items()
            for row in reports(campaign, replace(runs, verdicts=verdicts), hostile, hours)  # the runs are shared
        ]
    _say(f"{name}: {len(runs.made)} of {hours} runs made")
    return found


def markdown(rows: Sequence[Row]) -> str:
    """The reports as one table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|---:|---|---|" + "---:|" * (len(HEADER) - 5)]
    return "\n".join([*lines, *("| " + " | ".join((name, *_cells(called, row))) + " |" for name, called, row in rows)])


def _cells(called: str, row: Report) -> tuple[str, ...]:
    counted = (row.active, row.accused, row.minimum, row.after_minimum)
    return (
        row.campaign.name,
        f"{row.campaign.days:.1f}",
        called,
        row.rule,
        "never" if row.after_h is None else f"{row.after_h:,}",
        f"{row.leaked:.1%}",
        *("-" if number is None else f"{number:,}" for number in counted),
        "-" if row.after_h is None else ("yes" if row.is_steady else "no"),
        "yes" if row.is_met else "no",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
