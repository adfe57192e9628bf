"""Stillwatch and published detectors on the same worlds: one table, and who was wronged.

Each scenario is simulated anew into a temporary folder, or a world that exists is given with --world. Every method
reads the same exchanges, prompts and accounts. docs/baselines.md says what each baseline is and where it deviates;
docs/proof.md what the tables prove and how long they take.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from . import tables
from .claims import claims_table
from .comparison import comparison
from .drawn import drawn_report
from .hourly import HOURLY, hourly_record, is_there
from .judge import truth
from .measure import LARGE, LINKED, STRICT, baseline_record, stillwatch_records, world_record
from .record import WORLD, Record, Records, WorldName
from .targets import LEFT_OUT, targets_table
from .world import World

BASELINES = (
    "rate_limit",
    "isolation_forest",
    "ip_communities",
    "tfidf_projection",
    "synchrotrap",
    "fraudar",
    "prada",
    "seat",
    "mmd",
    "mahalanobis",
)
OWN = "stillwatch"
SCENARIOS = (
    *("feb2026", "jun2026", "two-pools", "cot-cleaner", "reward-model", "many-languages"),
    *("low-and-slow", "base-rate", LEFT_OUT),
)
GIVEN = "given"  # the source of a world that was not made here


def main() -> None:
    """Run what is missing and print the tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    worlds = [_given(folder) for folder in wanted.world] or [(name, None) for name in _names(wanted)]
    records = Records(wanted.cache, refresh=wanted.refresh)
    baselines = [name for name in BASELINES if name in (wanted.only or BASELINES)]
    for name, folder in worlds:
        missing = _missing(records, name, [*baselines, *([HOURLY] if wanted.hourly else [])], wanted.runs)
        if missing and not wanted.render:
            with tempfile.TemporaryDirectory(prefix="bench-detection-") as scratch:
                _measure(records, name, folder or _simulated(wanted, name, Path(scratch)), missing, wanted.runs)
    named = {name for name, _ in worlds}
    print(report([record for record in records.all() if record.world in named], baselines))


def report(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """All tables of the records."""
    if not any(record.method == STRICT for record in records):
        return "No world was measured."
    fixed = [record for record in records if record.world.scenario != LEFT_OUT]
    parts = [
        f"# Detection\n\n{_worlds(records)}",
        tables.methods_table(records, baselines),
        tables.NOTES,
        comparison(records, baselines),
        f"## Of accounts that sent anything\n\n{tables.senders_table(records)}",
        f"## Common control\n\n{tables.control_table(records)}\n\n{claims_table(records, baselines)}",
        f"## Campaigns\n\n{tables.campaigns_table(fixed)}\n\n{tables.split_lines(records)}",
        f"## Campaigns that the seed draws\n\n{drawn_report(tables.in_scenario(records, LEFT_OUT))}",
        f"## Legitimate accounts accused per million, by language and script\n\n"
        f"{tables.languages_table(records, baselines)}",
        f"## Legitimate accounts and customers accused, by population\n\n{tables.populations_table(records)}",
        f"## What was wanted\n\n{targets_table(records, baselines)}",
    ]
    return "\n\n".join(parts)


def _worlds(records: Sequence[Record]) -> str:
    facts = [record for record in records if record.method == WORLD]
    lines = [f"* {fact.world}: {fact.exchanges:,} exchanges, prompts and timing: {fact.world.source}" for fact in facts]
    largest = max(record.peak_memory_bytes for record in records)
    return "\n".join([*lines, f"* largest process: {largest / 2**30:.1f} GiB"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--scenario", nargs="+", default=list(SCENARIOS), metavar="NAME", help="scenarios to simulate (default: all)")
    add("--scale", type=float, default=0.05, help="1 is the size providers disclosed (default: 0.05)")
    add("--scale-of", nargs="+", default=[], metavar="NAME=SCALE", help="another scale for one scenario")
    add("--seed", type=int, nargs="+", default=[100, 101, 102], metavar="N", help="seeds of the worlds (100 101 102)")
    add(
        "--drawn-seeds",
        nargs="+",
        type=_span,
        default=[range(1000, 1020)],
        metavar="A-B",
        help="seeds of the world that every seed draws anew, in place of --seed (1000-1019)",
    )
    add(
        "--customers", nargs="+", default=[], metavar="NAME=SHARE", help="populations that come to every scenario's own"
    )
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--world", type=Path, nargs="+", default=[], metavar="DIR", help="worlds that exist, instead of simulating")
    add(
        "--only", nargs="+", choices=(OWN, *BASELINES), metavar="NAME", help=f"baselines: {', '.join(BASELINES)}; {OWN}"
    )
    add("--runs", type=int, default=1, metavar="N", help="successive scans, for exposure before detection (1: none)")
    add("--hourly", action="store_true", help="exposure before detection by bench.exposure, a run every hour")
    add("--cache", type=Path, metavar="DIR", help="keep results here; an interrupted run goes on from them")
    add("--refresh", nargs="+", default=[], choices=(OWN, *BASELINES), metavar="NAME", help="methods to measure anew")
    add("--render", action="store_true", help="print the tables of what the cache holds, and run nothing")
    wanted = parser.parse_args()
    if wanted.render and wanted.cache is None:
        parser.error("--render needs --cache")
    if wanted.hourly and not is_there():
        parser.error("--hourly needs bench.exposure, which this checkout lacks; use --runs")
    return wanted


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _names(wanted: argparse.Namespace) -> list[WorldName]:
    """The worlds to simulate; the drawn one, whose seeds are different campaigns, has more of them and its own."""
    usual = [(name, seed) for seed in wanted.seed for name in wanted.scenario if name != LEFT_OUT]
    drawn = [(LEFT_OUT, seed) for span in wanted.drawn_seeds for seed in span if LEFT_OUT in wanted.scenario]
    return [_name(wanted, name, seed) for name, seed in (*usual, *drawn)]


def _name(wanted: argparse.Namespace, scenario: str, seed: int) -> WorldName:
    scales = dict(each.split("=") for each in wanted.scale_of)
    files = [path.name for path in (wanted.prompts, wanted.timing) if path]
    source = "; with ".join([", ".join(files) or "built in", *wanted.customers])
    return WorldName(scenario, float(scales.get(scenario, wanted.scale)), seed, source)


def _given(folder: Path) -> tuple[WorldName, Path | None]:
    about = json.loads((folder / "world.json").read_text("utf-8"))
    return WorldName(about["scenario"], about["scale"], about["seed"], GIVEN), folder


def _missing(records: Records, name: WorldName, others: Sequence[str], runs: int) -> list[str]:
    """What has to be measured on a world; stillwatch again when more successive runs are wanted than were made."""
    missing = [method for method in (WORLD, LINKED, LARGE, STRICT, *others) if records.get(name, method) is None]
    strict = records.get(name, STRICT)
    if strict is not None and strict.runs < runs:
        missing.append(STRICT)
    return missing


def _simulated(wanted: argparse.Namespace, name: WorldName, scratch: Path) -> Path:
    """The folder of a world made for this run."""
    folder = scratch / "world"
    command = [sys.executable, "-m", "stillwatch", "simulate", str(folder), "--scenario", name.scenario]
    command += ["--scale", str(name.scale), "--seed", str(name.seed)]
    for flag, path in (("--prompts", wanted.prompts), ("--timing", wanted.timing)):
        command += [flag, str(path)] if path else []
    command += [word for share in wanted.customers for word in ("--customers", share)]
    _say(f"{name}: simulating")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def _measure(records: Records, name: WorldName, folder: Path, missing: Sequence[str], runs: int) -> None:
    """Stillwatch, then every baseline that is missing, on one world."""
    known = truth(folder / "truth.parquet")
    if WORLD in missing:
        records.add(world_record(name, folder, known))
    if {STRICT, LARGE, LINKED} & set(missing):
        _say(f"{name}: stillwatch")
        with tempfile.TemporaryDirectory(prefix="bench-detection-") as scratch:
            for record in stillwatch_records(name, folder, Path(scratch), runs=runs):
                records.add(record)
    if HOURLY in missing:
        _say(f"{name}: hourly runs")
        records.add(hourly_record(name, folder))
    world = World(folder, name.seed)
    for baseline in (method for method in missing if method in BASELINES):
        _say(f"{name}: {baseline}")
        records.add(baseline_record(name, import_module(f"{__package__}.{baseline}"), world, known))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
