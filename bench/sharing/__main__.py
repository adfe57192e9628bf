"""What a campaign that moves takes from a provider that was told of it or not: `python -m bench.sharing`.

The first provider scans what it has up to the ban of the first pool, releases its campaigns through the gate, and
pushes them over TAXII. The second pulls once, as the second pool begins. Then a run at the end of every hour is
searched for the first that reports the campaign, without and with what was pulled; `python -m bench.exposure --help`
says how. At the end the second provider is told of campaigns that are not here, and lies: every kind of innocent
customer is named as a campaign by a partner it trusts.
"""

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from bench.exposure.campaigns import FEW, Report, TrueCampaign, reports, true_campaigns
from bench.exposure.prefix import Runs
from bench.exposure.search import first_hour
from stillwatch import ingest
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.intake import intake
from stillwatch.leads import Sent
from stillwatch.recognised import SUPPORTS
from stillwatch.settings import Settings

from .planted import planted, unrelated
from .providers import Provider, form_group, hand_over
from .worlds import SECOND, Side, elsewhere, sides

ELSEWHERE = 1_000  # added to a seed: the world of campaigns that are not here
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
RECOGNISED = (
    "seed",
    "reworded",
    "told that the partner's campaign is here",
    "hours",
    "leaked",
    "of the exposure alone",
    "accounts",
    "customers",
)
FALSE = ("seed", "reworded", "leads of campaigns that are not here", "recognised", "lies", "recognised: support")
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


@dataclass(frozen=True, slots=True)
class Measured:
    """What one world came to: by each rule, and the lines of the other tables."""

    rows: Sequence[Row]
    recognised: Sequence[str]
    named: Sequence[str]
    false: Sequence[str]
    lies: Sequence[str]


def main() -> None:
    """Print five tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    rows: list[Row] = []
    tables: dict[str, list[str]] = {"recognised": [], "named": [], "false": [], "lies": []}
    for seed in wanted.seed:
        for reworded in wanted.reworded:
            with tempfile.TemporaryDirectory(prefix="bench-sharing-") as scratch:
                made = _world(wanted, seed, reworded, Path(scratch))
                rows += made.rows
                for name, lines in tables.items():
                    lines += [f"| {seed} | {reworded:.0%} | {one} |" for one in getattr(made, name)]
    print(markdown(rows))
    for header, lines in zip((RECOGNISED, NAMED, FALSE, LIES), tables.values(), strict=True):
        print("\n| " + " | ".join(header) + " |\n|---|---|" + "---:|" * (len(header) - 2))
        print("\n".join(lines))


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


def _world(wanted: argparse.Namespace, seed: int, reworded: float, scratch: Path) -> Measured:
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
        other = elsewhere(scratch / "elsewhere", seed=seed + ELSEWHERE, scale=wanted.scale / 2, extra=extra)
        unheard = _unrelated(replace(settings, logs=(str(other / "exchanges" / "*.parquet"),)), other, scratch, key)
        lied = replace(alone, sent=planted(taken.signals, second.truth), made={})
        return Measured(
            rows,
            _recognised(campaign, told, second, rows[-1].alone.leaked),
            _named(campaign, told, second),
            [_falsely(replace(alone, sent=unheard, made={}), lied, second)],
            [_lied_to(alone, lied, second)],
        )


def _unrelated(settings: Settings, world: Path, scratch: Path, key: ingest.Key) -> Sent:
    """True leads of the campaigns of another world."""
    settings = replace(settings, accounts=world / "accounts.parquet")
    with EmbeddedEngine(scratch / "elsewhere-tables", memory_limit="4GB", threads=settings.threads) as engine:
        work = scratch / "elsewhere-tables"
        taken = intake(settings, engine, key=key, work=work, progress=lambda stage, done, total: None)
        return unrelated(taken.signals, world / "truth.parquet")


def _recognised(campaign: TrueCampaign, told: Runs, side: Side, alone: float) -> list[str]:
    """When it is first told that the partner's campaign is here, and when what is seen here first speaks for that."""
    start = int((campaign.exchanges_us[0] / 1e6 - side.starts_at.timestamp()) // 3600)
    lines = []
    for what, supports in (("recognised", SUPPORTS), ("and supported here", SUPPORTS[:2])):

        def is_so(hour: int, supports: Sequence[str] = supports) -> bool:
            found = told.recognised(hour)
            return any(len(who & campaign.members) >= FEW and support in supports for _, support, who in found)

        hour = first_hour(is_so, start, side.days * 24)
        if hour is None:
            lines.append(f"{what} | never | 100.0% | | | ")
            continue
        leaked = campaign.share_before(round((side.starts_at.timestamp() + hour * 3600) * 1e6))
        bearing = frozenset().union(*(who for _, _, who in told.recognised(hour)))
        counts = (len(bearing & campaign.members), len(_innocents(bearing, side)))
        lines.append(" | ".join(map(str, (what, hour - start, f"{leaked:.1%}", f"{leaked / alone:.2f}", *counts))))
    return lines


def _falsely(unheard: Runs, lied: Runs, side: Side) -> str:
    """How many true leads of campaigns that are not here, and how many lies, are recognised at the window's end."""
    supports = Counter(support for _, support, _ in lied.recognised(side.days * 24))
    told = ", ".join(f"{count} {support}" for support, count in sorted(supports.items())) or "0"
    counts = (
        len(unheard.sent.leads.campaigns),
        len(unheard.recognised(side.days * 24)),
        len(lied.sent.leads.campaigns),
    )
    return " | ".join(map(str, (*counts, told)))


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


def _lied_to(runs: Runs, lied: Runs, side: Side) -> str:
    """How many innocents are accused at the end of the window, without and with the wrong leads, by verdict."""
    cells = [str(len(lied.sent.leads.campaigns))]
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
