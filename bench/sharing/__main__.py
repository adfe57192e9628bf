"""What a campaign that moves takes from a provider that was told of it or not: `python -m bench.sharing`.

The first provider scans what it has up to the ban of the first pool, releases its campaigns through the gate, and
pushes them over TAXII. The second pulls once, as the second pool begins. Then a run at the end of every hour is
searched for the first that reports the campaign, without and with what was pulled; `python -m bench.exposure --help`
says how. At the end the second provider is told lies: every kind of innocent customer is named as a campaign by a
partner it trusts.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from bench.exposure.campaigns import Report, TrueCampaign, reports, true_campaigns
from bench.exposure.prefix import Runs
from stillwatch import ingest
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.intake import Intake, intake
from stillwatch.settings import Settings

from .planted import planted
from .providers import Provider, form_group, hand_over
from .worlds import SECOND, Side, sides

VERDICTS = {"distillation": frozenset({"distillation"}), "or coordinated": frozenset({"distillation", "coordinated"})}
HEADER = (
    "seed",
    "reworded",
    "reported as",
    "when there is",
    "alone: hours",
    "leaked",
    "told: hours",
    "leaked",
    "ratio",
    "innocents accused",
)


NAMED = ("seed", "reworded", "hours after its start", "leaked", "at work", "of these named", "customers named")
NAMED_AFTER_H = (6, 12, 24, 48)
LIES = ("seed", "reworded", "wrong leads", "innocents accused: without, with", "or coordinated: without, with")


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one world, without and with what the partner sent."""

    seed: int
    reworded: float
    verdict: str
    alone: Report
    told: Report
    innocents: int  # in campaigns reported at the told run, or at the end where there is none


def main() -> None:
    """Print three tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    rows: list[Row] = []
    named: list[str] = []
    lies: list[str] = []
    for seed in wanted.seed:
        for reworded in wanted.reworded:
            with tempfile.TemporaryDirectory(prefix="bench-sharing-") as scratch:
                made, borne, told = _world(wanted, seed, reworded, Path(scratch))
                rows += made
                named += [f"| {seed} | {reworded:.0%} | {one} |" for one in borne]
                lies.append(f"| {seed} | {reworded:.0%} | {told} |")
    print(markdown(rows))
    print()
    print("| " + " | ".join(NAMED) + " |\n|---|---|---:|---:|---:|---:|---:|")
    print("\n".join(named))
    print()
    print("| " + " | ".join(LIES) + " |\n|---|---|---:|---:|---:|")
    print("\n".join(lies))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sharing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scale", type=float, default=0.02, metavar="X", help="1 is the size providers disclosed (default: 0.02)")
    add("--seed", type=int, nargs="+", default=[510], metavar="N", help="seeds of the worlds (default: 510)")
    add(
        "--reworded",
        type=float,
        nargs="+",
        default=[0.0, 0.25],
        metavar="X",
        help="share of words the second pool replaces",
    )
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--threads", type=int, metavar="N", help="threads (default: all cores)")
    return parser.parse_args()


def _world(wanted: argparse.Namespace, seed: int, reworded: float, scratch: Path) -> tuple[list[Row], list[str], str]:
    extra = [
        word
        for flag, value in (("--prompts", wanted.prompts), ("--timing", wanted.timing))
        if value
        for word in (flag, str(value))
    ]
    first, second = sides(scratch / "worlds", seed=seed, scale=wanted.scale, reworded=reworded, extra=extra)
    one, two = Provider("first", scratch / "one"), Provider("second", scratch / "two")
    banned = _until_the_ban(first, scratch / "seen")
    one.run("scan", str(banned / "*.parquet"), "--accounts", first.accounts, "--out", one.out, "--no-exemplars")
    form_group(one, two)
    _say(f"seed {seed}: {hand_over(one, two).num_rows} values were pulled")
    settings = Settings(
        logs=(second.logs,), out=scratch / "out", accounts=second.accounts, threads=wanted.threads, exemplars=False
    )
    key = ingest.Key(hashlib.sha256(b"bench.sharing").digest())
    with EmbeddedEngine(scratch / "tables", memory_limit="4GB", threads=wanted.threads) as engine:
        taken = intake(settings, engine, key=key, work=scratch / "tables", progress=lambda stage, done, total: None)
        campaigns = true_campaigns(second.truth, taken.signals)
        [campaign] = [c for c in campaigns if c.name == SECOND]
        alone = Runs(taken, engine, settings, second.starts_at, frozenset(), say=_say)
        told = Runs(taken, engine, settings, second.starts_at, frozenset(), say=_say, sent=two.received())
        rows = [row for name in VERDICTS for row in _rows(seed, reworded, name, campaign, (alone, told), second)]
        return rows, _named(campaign, told, second), _lied_to(taken, alone, second)


def _until_the_ban(first: Side, folder: Path) -> Path:
    """The first provider's logs up to the middle of the window, when its pool is banned."""
    folder.mkdir()
    until = first.starts_at + timedelta(days=first.days / 2)
    for path in sorted((first.folder / "exchanges").glob("*.parquet")):
        log = pq.read_table(path)
        pq.write_table(log.filter([at < until for at in log["started_at"].to_pylist()]), folder / path.name)
    return folder


def _rows(
    seed: int, reworded: float, verdict: str, campaign: TrueCampaign, runs: tuple[Runs, Runs], side: Side
) -> list[Row]:
    alone, told = (replace(one, verdicts=VERDICTS[verdict]) for one in runs)
    hours = side.days * 24
    hostile = campaign.members
    found = []
    for without, with_ in zip(
        reports(campaign, alone, hostile, hours), reports(campaign, told, hostile, hours), strict=True
    ):
        start = int((campaign.exchanges_us[0] / 1e6 - side.starts_at.timestamp()) // 3600)
        at = hours if with_.after_h is None else start + with_.after_h
        found.append(Row(seed, reworded, verdict, without, with_, len(_innocents(told.at(at).accused, side))))
    return found


def _named(campaign: TrueCampaign, told: Runs, side: Side) -> list[str]:
    """Who bears what the partner sent, whatever the verdict, some hours after the campaign began here."""
    start = int((campaign.exchanges_us[0] / 1e6 - side.starts_at.timestamp()) // 3600)
    lines = []
    for hours in NAMED_AFTER_H:
        until = round((side.starts_at.timestamp() + (start + hours) * 3600) * 1e6)
        named, active = told.named(start + hours), campaign.active(until)
        cells = (hours, f"{campaign.share_before(until):.1%}", len(active), len(named & active))
        lines.append(" | ".join(map(str, (*cells, len(_innocents(named, side))))))
    return lines


def _innocents(accused: frozenset[str], side: Side) -> frozenset[str]:
    rows = pq.read_table(side.truth, columns=["account_id", "campaign"]).to_pylist()
    return accused & {row["account_id"] for row in rows if row["campaign"] is None}


def _lied_to(taken: Intake, runs: Runs, side: Side) -> str:
    """How many innocents are accused at the end of the window, without and with the wrong leads, by verdict."""
    sent = planted(taken.signals, side.truth)
    lied = replace(runs, sent=sent, made={})
    cells = [str(len(sent.leads.campaigns))]
    for verdicts in VERDICTS.values():
        counts = [
            len(_innocents(replace(one, verdicts=verdicts).at(side.days * 24).accused, side)) for one in (runs, lied)
        ]
        cells.append(f"{counts[0]}, {counts[1]}")
    return " | ".join(cells)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as one table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|---|---|" + "---:|" * (len(HEADER) - 4)]
    return "\n".join([*lines, *("| " + " | ".join(_cells(row)) + " |" for row in rows)])


def _cells(row: Row) -> tuple[str, ...]:
    hours = ["never" if one.after_h is None else f"{one.after_h:,}" for one in (row.alone, row.told)]
    ratio = row.told.leaked / row.alone.leaked if row.alone.leaked else 1.0
    words = (str(row.seed), f"{row.reworded:.0%}", row.verdict, row.alone.rule)
    return (
        *words,
        hours[0],
        f"{row.alone.leaked:.1%}",
        hours[1],
        f"{row.told.leaked:.1%}",
        f"{ratio:.2f}",
        str(row.innocents),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
