"""What stillwatch reports where there is nothing to find.

permuted: one world in which the holders of every kind of trait are dealt anew, by one seed after another, within
    segments. Wanted: no campaign called distillation or coordinated in at least 95 of 100 seeds.
emptied: worlds of every scenario with the hostile accounts taken out, scanned by the public command. Wanted: no
    campaign called distillation in 20 seeds.

Results are kept in --cache; an interrupted run goes on from there. Another state of the code needs another folder.
docs/proof.md says what the figures mean.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import beta

from bench.detection.lines import append_line, read_lines
from stillwatch.evaluation.measures import Share

from .emptied import empty, scanned, simulated
from .permuted import prepared, verdicts

SCENARIOS = ("feb2026", "jun2026", "two-pools", "cot-cleaner", "low-and-slow", "base-rate")
CHECKS = ("permuted", "emptied")
ACCUSING = ("distillation", "coordinated")
Row = dict[str, Any]


def main() -> None:
    """Run what is missing, then print the result of each check; progress goes to standard error."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-nulls-") as scratch:
        folder = wanted.cache or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for check in wanted.check:
            kept = _Kept(folder / f"{check}.jsonl")
            seeds = range(wanted.seeds or {"permuted": 100, "emptied": 20}[check])
            run = _permuted if check == "permuted" else _emptied
            rows = [row for scenario in _scenarios(wanted, check) for row in run(wanted, scenario, seeds, kept)]
            print(f"## {check}\n\n{_table(check, rows)}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.nulls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("check", nargs="*", default=list(CHECKS), metavar="CHECK", help=f"of {', '.join(CHECKS)} (default: both)")
    add("--scenario", nargs="+", metavar="NAME", help="permuted: feb2026; emptied: every scenario")
    add("--scale", type=float, default=0.01, help="size of the worlds (default: 0.01)")
    add("--seeds", type=int, metavar="N", help="permuted: 100; emptied: 20")
    add("--world-seed", type=int, default=200, metavar="N", help="of the permuted world, and of the first emptied one")
    add("--whole", action="store_true", help="permuted: all accounts are one segment")
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--cache", type=Path, metavar="DIR", help="keep results here")
    wanted = parser.parse_args()
    if unknown := set(wanted.check) - set(CHECKS):
        parser.error(f"no check {', '.join(sorted(unknown))}; choose of {', '.join(CHECKS)}")
    return wanted


def _scenarios(wanted: argparse.Namespace, check: str) -> Sequence[str]:
    return wanted.scenario or (("feb2026",) if check == "permuted" else SCENARIOS)


class _Kept:
    """Rows kept as lines of JSON, found by what they are about."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = {row["about"]: row for row in read_lines(path)}

    def get(self, about: str) -> Row | None:
        return self._rows.get(about)

    def add(self, row: Row) -> Row:
        self._rows[row["about"]] = row
        append_line(self._path, row)
        return row


def _permuted(wanted: argparse.Namespace, scenario: str, seeds: Sequence[int], kept: _Kept) -> Iterator[Row]:
    segments = "one segment" if wanted.whole else "segments"
    about = f"{scenario}, scale {wanted.scale:g}, seed {wanted.world_seed}, {_source(wanted)}, {segments}"
    keys: dict[str, int | None] = {f"{about}: as it is": None, **{f"{about}: {seed}": seed for seed in seeds}}
    missing = [key for key in keys if kept.get(key) is None]
    if missing:
        with tempfile.TemporaryDirectory(prefix="bench-nulls-") as scratch:
            world = Path(scratch) / "world"
            _say(f"{about}: simulating and reading")
            simulated(world, scenario, wanted.scale, wanted.world_seed, _flags(wanted))
            with prepared(world, Path(scratch) / "work", whole=wanted.whole) as of:
                for number, key in enumerate(missing, start=1):
                    began = time.monotonic()
                    campaigns, cpu_s = verdicts(of, keys[key])
                    kept.add({"about": key, "scenario": scenario, "campaigns": campaigns, "cpu_s": cpu_s})
                    _say(f"{key}: {campaigns}, {time.monotonic() - began:.0f} s ({number} of {len(missing)})")
    first, *rest = [row for key in keys if (row := kept.get(key)) is not None]
    yield {**first, "scenario": f"{scenario}, traits as they are"}
    yield from rest


def _emptied(wanted: argparse.Namespace, scenario: str, seeds: Sequence[int], kept: _Kept) -> Iterator[Row]:
    for seed in seeds:
        about = f"{scenario}, scale {wanted.scale:g}, seed {wanted.world_seed + seed}, {_source(wanted)}"
        row = kept.get(about)
        if row is None:
            with tempfile.TemporaryDirectory(prefix="bench-nulls-") as scratch:
                world = Path(scratch) / "world"
                simulated(world, scenario, wanted.scale, wanted.world_seed + seed, _flags(wanted))
                left = empty(world)
                campaigns, accounts, cpu_s = scanned(world, Path(scratch) / "out")
            row = {"about": about, "scenario": scenario, "campaigns": campaigns, "accounts": accounts}
            row = kept.add({**row, "legitimate": left, "cpu_s": cpu_s})
            _say(f"{about}: {campaigns}, {cpu_s:.0f} CPU s")
        yield row


def _table(check: str, rows: Sequence[Row]) -> str:
    """Per scenario: seeds without an accusing campaign, and all campaigns by verdict."""
    lines = [
        "| world | seeds | without distillation (95 %) | without distillation or coordinated (95 %) "
        "| seeds that accuse, at most (one-sided 95 %) | campaigns by verdict "
        "| accounts called distillation | CPU s each |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        inside = [row for row in rows if row["scenario"] == scenario]
        quiet = Share(sum(not row["campaigns"].get("distillation") for row in inside), len(inside))
        silent = Share(sum(not any(map(row["campaigns"].get, ACCUSING)) for row in inside), len(inside))
        accounts = "-"
        if check == "emptied":
            wronged = sum(row["accounts"].get("distillation", 0) for row in inside)
            accounts = _interval(Share(wronged, sum(row["legitimate"] for row in inside)), per=1e6)
        cpu_s = sum(row["cpu_s"] for row in inside) / len(inside)
        cells = [scenario, str(len(inside)), _interval(quiet), _interval(silent)]
        cells += [_at_most(silent if check == "permuted" else quiet), _summed(inside), accounts, f"{cpu_s:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _summed(rows: Sequence[Mapping[str, Any]]) -> str:
    totals: dict[str, int] = {}
    for row in rows:
        for verdict, count in row["campaigns"].items():
            totals[verdict] = totals.get(verdict, 0) + count
    return ", ".join(f"{totals[verdict]} {verdict}" for verdict in sorted(totals)) or "none"


def _interval(share: Share, per: float = 100) -> str:
    unit = " %" if per == 100 else " per million"
    low, high = (share.low or 0) * per, (share.high or 0) * per
    return f"{share.hits} of {share.total} ({low:,.1f} to {high:,.1f}{unit})"


def _at_most(without: Share) -> str:
    """The exact upper 95 % bound of the rate of seeds that are not without (Clopper and Pearson, 1934; one-sided)."""
    hits = without.total - without.hits
    return f"{100 * float(beta.ppf(0.95, hits + 1, without.hits)) if without.hits else 100:.1f} %"


def _source(wanted: argparse.Namespace) -> str:
    return " and ".join(path.name for path in (wanted.prompts, wanted.timing) if path) or "built in"


def _flags(wanted: argparse.Namespace) -> list[str]:
    named = (("--prompts", wanted.prompts), ("--timing", wanted.timing))
    return [word for flag, path in named if path for word in (flag, str(path))]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
