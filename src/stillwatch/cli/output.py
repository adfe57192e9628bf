"""What every command shares: options, tables on standard output, words and progress on standard error."""

import csv
import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table


class Format(StrEnum):
    """How data is printed."""

    table = "table"
    json = "json"
    csv = "csv"


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the scan.", file_okay=False)]
As = Annotated[Format, typer.Option("--format", help="How to print it.")]

WORDS_COLUMN = "because"  # the one column of sentences: it wraps, the others do not
WORDS_MIN_WIDTH = 40  # characters; below that a sentence cannot be read
PIPED_COLUMNS = 160  # width where there is no terminal to fit

CAMPAIGN_COLUMNS = (
    "campaign",
    "verdict",
    "accounts",
    "exchanges",
    "output tokens",
    "first seen",
    "last seen",
    WORDS_COLUMN,
)


@contextmanager
def importing() -> Iterator[None]:
    """A block that imports: nobody looks for garbage in what it makes, then or later, as none of it ever is."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def in_utc(moment: datetime | None) -> datetime | None:
    """A moment of the command line; without a zone it is UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def print_campaigns(campaigns: Sequence[Mapping[str, Any]], output: Format) -> None:
    """Print campaigns with why each has its verdict."""
    if output is Format.json:
        from stillwatch.store import json_text

        typer.echo(json_text(list(campaigns)))
        return
    rows = [_campaign_row(campaign, grouped=output is Format.table) for campaign in campaigns]
    print_rows("Campaigns", CAMPAIGN_COLUMNS, rows, output)


def _campaign_row(campaign: Mapping[str, Any], *, grouped: bool) -> list[str]:
    holds = [hypothesis for hypothesis in campaign["benign_hypotheses"] if hypothesis["survives"]]
    because = campaign["coordination"]["because"]
    if campaign["verdict"] == "distillation":
        because = campaign["harvest"]["because"]
    elif campaign["verdict"] == "coordinated" and campaign.get("volume", {}).get("result") == "proven":
        because = f"{because}; {campaign['volume']['because']}"
    elif campaign["verdict"] == "explained" and holds:
        because = f"{holds[0]['name']}: {holds[0]['because']}"
    exposure = campaign["exposure"]
    number = "{:,}" if grouped else "{}"
    counts = (len(campaign["account_ids"]), exposure["exchanges"], exposure["output_tokens"])
    return [
        campaign["campaign_id"],
        campaign["verdict"],
        *(number.format(count) for count in counts),
        campaign["first_seen_at"][:10],
        campaign["last_seen_at"][:10],
        because,
    ]


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], output: Format) -> None:
    """Print rows as a table or as CSV, with what an attacker may have written made harmless."""
    from stillwatch.neutral import csv_cell, terminal

    if output is Format.csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows([csv_cell(cell) for cell in row] for row in rows)
        return
    if rows:
        _print_table(title, columns, [[terminal(str(cell)) for cell in row] for row in rows])
    else:
        typer.echo(f"{title}: none")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; where it has no room, it is set narrower and the column of sentences moves below it.

    A pipe has no width, so a wide one is assumed.
    """
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, PIPED_COLUMNS))
    whole = _table(title, columns, rows, gap=2)
    least_width = Console(width=10_000).measure(whole).minimum
    if least_width <= console.width or columns[-1] != WORDS_COLUMN:
        console.print(whole)
        return
    console.print(_table(title, columns[:-1], [row[:-1] for row in rows], gap=1))
    console.print()
    console.print(_table(None, (columns[0], WORDS_COLUMN), [(row[0], row[-1]) for row in rows], gap=1))


def _table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], *, gap: int) -> "Table":
    """A table whose cells stay whole, but for sentences; a gap of one also breaks the headers at spaces."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(
            column if gap > 1 else column.replace(" ", "\n"),
            no_wrap=column not in (WORDS_COLUMN, "verdict"),
            overflow="fold",
            min_width=WORDS_MIN_WIDTH if column == WORDS_COLUMN else None,
            justify="right" if all(row[i].replace(",", "").isdigit() for row in rows) else "left",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def say_summary(run: Mapping[str, Any], out: Path) -> None:
    """What was read, what was left out and where the results are, on standard error."""
    counts, seconds = run["counts"], run["seconds"]["total"]
    say(f"{counts['exchanges']:,} exchanges of {counts['accounts']:,} accounts in {seconds:.1f} s.")
    if counts["duplicates"]:
        say(f"{counts['duplicates']:,} duplicate exchanges were dropped.")
    if counts["rejected"]:
        say(f"{counts['rejected']:,} rows were rejected; {out / 'rejected.parquet'} says which and why.")
    for text in (*run.get("recognised", ()), *run["not_judged"]):
        say(text)
    if run["minimum_detectable_campaign"]:
        say(f"Smallest campaign this traffic would show: {run['minimum_detectable_campaign']['accounts']} accounts.")
    say(f"Report: {out / 'report.html'}")


def say(text: str) -> None:
    """Words for a person, on standard error, with control characters made harmless."""
    from stillwatch.neutral import terminal

    typer.echo(terminal(text), err=True)


@contextmanager
def progress_bars() -> Iterator[Any]:
    """A progress callback: bars on a terminal, silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description:10}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1)
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield advance
