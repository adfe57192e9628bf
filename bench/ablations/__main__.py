"""How much of a campaign is still found when one family of evidence is dropped.

A world is simulated, its columns of one family are emptied (timing: every exchange is moved to a random moment of its
day), and the public command scans what is left. Wanted: without addresses, cards, devices or timing at most 15 points
of recall are lost; without text, as much of `distillation` and `coordinated` together; precision never falls.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.detection.lines import append_line, read_lines
from stillwatch.evaluation import evaluate
from stillwatch.evaluation.measures import Share

from .drop import FAMILIES, without

MOST_LOST = 0.15
SECRET = bytes(range(32))  # any key does, but always the same one
STRICT, LINKED = "distillation", "distillation_or_coordinated"
Row = dict[str, Any]


def main() -> None:
    """Run what is missing and print the table; progress goes to standard error."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-ablations-") as scratch:
        folder = wanted.cache or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for seed in wanted.seed for row in _rows(wanted, seed, folder / "ablations.jsonl")]
    print(table(rows))


def table(rows: Sequence[Row]) -> str:
    """One row per family, added up over the worlds; then whether each goes as far as wanted."""
    lines = [
        "| dropped | distillation: recall (95 %) | points | precision (95 %) | or coordinated: recall (95 %) | points "
        "| precision (95 %) | CPU s | as wanted |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    whole = [row for row in rows if row["family"] == "nothing"]
    for family in [name for name in FAMILIES if any(row["family"] == name for row in rows)]:
        inside = [row for row in rows if row["family"] == family]
        cells = [family]
        for verdicts in (STRICT, LINKED):
            recall, precision = _share(inside, verdicts, "recall"), _share(inside, verdicts, "precision")
            cells += [_interval(recall), _points(recall, _share(whole, verdicts, "recall")), _interval(precision)]
        answer = "-" if family == "nothing" else _answer(family, inside, whole)
        lines.append("| " + " | ".join([*cells, f"{sum(row['cpu_s'] for row in inside):.0f}", answer]) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ablations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scenario", default="feb2026", metavar="NAME", help="scenario to simulate (default: feb2026)")
    add("--scale", type=float, default=0.05, help="1 is the size providers disclosed (default: 0.05)")
    add("--seed", type=int, nargs="+", default=[100], metavar="N", help="seeds of the worlds (100)")
    add("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME", help=f"of {', '.join(FAMILIES)}")
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--cache", type=Path, metavar="DIR", help="keep results here; an interrupted run goes on from them")
    add("--refresh", action="store_true", help="measure anew what the cache holds")
    return parser.parse_args()


def _rows(wanted: argparse.Namespace, seed: int, path: Path) -> list[Row]:
    """Every family on one world, from the cache where it is there."""
    source = " and ".join(file.name for file in (wanted.prompts, wanted.timing) if file) or "built in"
    about = f"{wanted.scenario}, scale {wanted.scale:g}, seed {seed}, {source}"
    kept = {} if wanted.refresh else {row["family"]: row for row in read_lines(path) if row["about"] == about}
    missing = [family for family in wanted.only if family not in kept]
    if missing:
        with tempfile.TemporaryDirectory(prefix="bench-ablations-") as scratch:
            world = Path(scratch) / "world"
            _say(f"{about}: simulating")
            _simulate(wanted, seed, world)
            for family in missing:
                kept[family] = {"about": about, "family": family, **_measured(family, world, seed)}
                append_line(path, kept[family])
                _say(f"{about}: without {family}, {kept[family]['cpu_s']:.0f} CPU s")
    return [kept[family] for family in wanted.only]


def _simulate(wanted: argparse.Namespace, seed: int, world: Path) -> None:
    command = [sys.executable, "-m", "stillwatch", "simulate", str(world), "--scenario", wanted.scenario]
    command += ["--scale", str(wanted.scale), "--seed", str(seed)]
    for flag, file in (("--prompts", wanted.prompts), ("--timing", wanted.timing)):
        command += [flag, str(file)] if file else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _measured(family: str, world: Path, seed: int) -> Row:
    """What the public command finds in a copy of the world without one family."""
    with tempfile.TemporaryDirectory(prefix="bench-ablations-") as scratch:
        left, out, key = (
            without(family, world, Path(scratch) / "left", seed=seed),
            Path(scratch) / "out",
            Path(scratch) / "key",
        )
        key.write_bytes(SECRET)
        command = [sys.executable, "-m", "stillwatch", "scan", str(left / "exchanges" / "*.parquet")]
        command += ["--accounts", str(left / "accounts.parquet"), "--out", str(out), "--seed", str(seed)]
        environment = {**os.environ, "STILLWATCH_KEY_FILE": str(key)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = evaluate(out, left / "truth.parquet").as_dict()
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {STRICT: found[STRICT], LINKED: found[LINKED], "cpu_s": cpu_s}


def _share(rows: Sequence[Row], verdicts: str, measure: str) -> Share:
    counted: list[Mapping[str, int]] = [row[verdicts][measure] for row in rows]
    return Share(sum(each["hits"] for each in counted), sum(each["total"] for each in counted))


def _answer(family: str, inside: Sequence[Row], whole: Sequence[Row]) -> str:
    """Whether the loss is no larger than wanted and precision has not fallen; the stricter verdict where it can be."""
    verdicts = LINKED if family == "text" else STRICT
    recall, before = (_share(rows, verdicts, "recall").share for rows in (inside, whole))
    precise, precise_before = (_share(rows, verdicts, "precision").share for rows in (inside, whole))
    if recall is None or before is None:
        return "not measured"
    reasons = []
    if before - recall > MOST_LOST:
        reasons.append("recall falls too far")
    if precise is not None and precise_before is not None and precise < precise_before:
        reasons.append("precision falls")
    return "yes" if not reasons else f"no: {', '.join(reasons)}"


def _points(share: Share, before: Share) -> str:
    if share.share is None or before.share is None:
        return "-"
    return f"{(share.share - before.share) * 100:+.1f}"


def _interval(share: Share) -> str:
    if share.share is None:
        return "-"
    return f"{share.share:.2%} ({share.low:.2%} to {share.high:.2%})"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
