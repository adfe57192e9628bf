"""Commands that work on a state: logs in batch by batch, campaigns out of what is kept of them."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillwatch.cli.commands import EXIT_CAMPAIGNS, app
from stillwatch.cli.output import (
    As,
    Format,
    Out,
    importing,
    in_utc,
    print_campaigns,
    print_rows,
    progress_bars,
    say,
    say_summary,
)
from stillwatch.errors import SettingsError

if TYPE_CHECKING:
    from stillwatch.state import Window

state_app = typer.Typer(help="Look after a state, the rollups of batches of logs.", no_args_is_help=True)
app.add_typer(state_app, name="state")

State = Annotated[Path, typer.Option("--state", help="Folder of the state.", file_okay=False)]
Accounts = Annotated[
    Path | None, typer.Option(help="Accounts: Parquet, JSON lines or CSV; its rows replace older ones.")
]
Memory = Annotated[str, typer.Option(help="What tables may take before they spill to disk.")]
Threads = Annotated[int | None, typer.Option(help="Threads; all cores when left out.", min=1)]
EPOCH = date(1970, 1, 1)


@app.command()
def ingest(
    logs: Annotated[list[str], typer.Argument(help="Log files, folders or globs (quote globs): one batch.")],
    state: State,
    accounts: Accounts = None,
    input_format: Annotated[str | None, typer.Option(help="Force a log format instead of recognising it.")] = None,
    field_map: Annotated[Path | None, typer.Option(help="TOML that maps your field names to ours.")] = None,
    started_at: Annotated[datetime | None, typer.Option(help="When requests without a clock were made (UTC).")] = None,
    memory_limit: Memory = "4GB",
    threads: Threads = None,
    max_rejected_share: Annotated[float, typer.Option(help="Fail when more of the batch cannot be read.")] = 0.2,
) -> None:
    """Take one batch of logs into a state, whole or not at all; the same batch again changes nothing.

    No prompt and no exchange id is kept. Example: stillwatch ingest 'logs/2026-02-03/*.jsonl.gz' --state state
    """
    with importing():
        from stillwatch.settings import Settings
        from stillwatch.upkeep import take_in

    settings = Settings(
        logs=tuple(logs),
        out=state,
        accounts=accounts,
        input_format=input_format,
        field_map=field_map,
        started_at=in_utc(started_at),
        memory_limit=memory_limit,
        threads=threads,
        max_rejected_share=max_rejected_share,
        exemplars=False,
    )
    with progress_bars() as progress:
        done = take_in(state, settings, progress=progress)
    batch = done.batch
    if done.was_known:
        news = "its accounts were taken in" if done.has_new_accounts else "nothing was changed"
        say(f"Batch {batch.batch_id} was ingested on {batch.ingested_at}; {news}.")
    else:
        say(f"Batch {batch.batch_id}: {batch.exchanges:,} exchanges on {len(batch.days)} days.")
        if batch.duplicates:
            say(f"{batch.duplicates:,} duplicate exchanges were dropped.")
        if batch.rejected:
            say(f"{batch.rejected:,} rows were rejected; `stillwatch detect` lists them in rejected.parquet.")
    typer.echo(batch.batch_id)


@app.command()
def detect(
    state: State,
    out: Out = Path("out"),
    accounts: Accounts = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day to look at (UTC).")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day before which to stop (UTC).")
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="Look at so many days, up to the newest of the state.", min=1)
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the built-in one when left out.")] = None,
    memory_limit: Memory = "4GB",
    threads: Threads = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    fdr: Annotated[float, typer.Option(help="False-discovery rate of shared traits.")] = 0.01,
    tlp: Annotated[
        str, typer.Option(help="Marking of the shared bundle: clear, green, amber, amber+strict, red.")
    ] = "amber",
    groups: Annotated[
        Path | None, typer.Option(help="Keys of sharing groups, for what partners sent; beside the key when left out.")
    ] = None,
    fail_on_campaigns: Annotated[bool, typer.Option(help="Exit 3 when a distillation campaign is found.")] = False,
    output: As = Format.table,
) -> None:
    """Find campaigns in a state and write what `scan` writes; no log is read.

    Example: stillwatch detect --state state --days 30 --out out
    """
    with importing():
        from stillwatch.scan import detect as run_detect
        from stillwatch.settings import Settings

    settings = Settings(
        logs=(),
        out=out,
        accounts=accounts,
        policy=policy,
        memory_limit=memory_limit,
        threads=threads,
        seed=seed,
        false_discovery_rate=fdr,
        exemplars=False,
        tlp=tlp,
        groups=groups,
    )
    window = _window(state, since, until, days)
    with progress_bars() as progress:
        done = run_detect(state, settings, window=window, progress=progress)
    print_campaigns(done.campaigns, output)
    say_summary(done.run, out)
    if fail_on_campaigns and any(campaign["verdict"] == "distillation" for campaign in done.campaigns):
        raise typer.Exit(EXIT_CAMPAIGNS)


def _window(state: Path, since: datetime | None, until: datetime | None, days: int | None) -> "Window":
    """The window that the options ask for.

    Raises:
        SettingsError: `--days` is given beside `--since`, or the window is empty.
    """
    from stillwatch.state import Window
    from stillwatch.upkeep import newest_day

    if days is not None and since is not None:
        raise SettingsError("--days and --since both say where to begin: give one of them")
    first, last = (None if at is None else (at.date() - EPOCH) // timedelta(days=1) for at in (since, until))
    if days is not None:
        last = newest_day(state) + 1 if last is None else last
        first = last - days
    if first is not None and last is not None and first >= last:
        raise SettingsError("--until is not after --since: the window holds no day")
    return Window(first, last)


@state_app.command("show")
def state_show(state: State, output: As = Format.table) -> None:
    """Say what a state holds: batches, days, bytes by part, key."""
    from stillwatch.store import json_text
    from stillwatch.upkeep import holdings

    held = holdings(state)
    if output is Format.json:
        typer.echo(json_text(held))
        return
    number = "{:,}" if output is Format.table else "{}"
    sizes = held.pop("bytes")
    rows = [(name.replace("_", " "), _cell(value, number)) for name, value in held.items()]
    rows += [(f"bytes of {part}", number.format(size)) for part, size in sizes.items()]
    print_rows("State", ("what", "value"), rows, output)


def _cell(value: object, number: str) -> str:
    return number.format(value) if isinstance(value, int) else str(value if value is not None else "none")


@state_app.command("compact")
def state_compact(state: State, memory_limit: Memory = "4GB", threads: Threads = None) -> None:
    """Merge the rollups of every week into one folder; what `detect` finds stays the same."""
    from stillwatch.upkeep import compact

    done = compact(state, memory_limit=memory_limit, threads=threads)
    say(f"{state}: {done.before} folders are now {done.after}.")
