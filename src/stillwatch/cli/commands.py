"""The command line: thin, and quick to start because every heavy import waits for its command.

Data goes to standard output, words and progress to standard error. Exit 0 is fine, 1 failed, 2 wrong usage, and 3
means campaigns were found where `--fail-on-campaigns` asked for none.
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from stillwatch import __version__
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
from stillwatch.errors import InputError, SettingsError, StillwatchError

EXIT_FAILED, EXIT_USAGE, EXIT_CAMPAIGNS = 1, 2, 3

app = typer.Typer(
    name="stillwatch",
    help="Find distillation campaigns in the logs of a language-model API, and say who, why and how much has leaked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
campaigns_app = typer.Typer(help="List, show and export the campaigns of the last scan.", no_args_is_help=True)
app.add_typer(campaigns_app, name="campaigns")
policy_app = typer.Typer(help="Work with policies, the files that turn campaigns into decisions.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")


class TextFormat(StrEnum):
    """How an explanation is printed: for a person, or for a program."""

    table = "table"
    json = "json"


class Finding(StrEnum):
    """What an analyst may find."""

    guilty = "guilty"
    innocent = "innocent"


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    try:
        app()
    except SettingsError as error:
        say(f"stillwatch: {error}")
        sys.exit(EXIT_USAGE)
    except StillwatchError as error:
        say(f"stillwatch: {error}")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        say("stillwatch: interrupted; what stood in the output folder is untouched")
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write the world to.", file_okay=False)],
    scenario: Annotated[str, typer.Option(help="Name of the scenario; `--list` shows them.")] = "feb2026",
    scale: Annotated[float, typer.Option(help="1 is the size that providers disclosed.", min=1e-6)] = 0.01,
    days: Annotated[int | None, typer.Option(help="Days to simulate; the scenario's own when left out.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same world.")] = 0,
    prompts: Annotated[Path | None, typer.Option(help="Parquet of real prompts to use as items.")] = None,
    timing: Annotated[Path | None, typer.Option(help="Parquet of real request traces to take timing from.")] = None,
    dose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="How hard every campaign hides, over the scenario's own; may be given again for another. "
            "paraphrase=0.25: share of the words of an instruction replaced on each call, 0 to 0.6. "
            "hygiene=1: share of accounts with a card, device, address and sign-up of their own. "
            "camouflage=0.9: share of unrelated traffic, 0 to 0.9. "
            "jitter=3600: mean delay behind a schedule in seconds; 86400 is none. "
            "language=ja: of the instructions; en, zh, ja, es, de, fr, pt, ko. "
            "accounts=500: of each campaign, at the same rate per account, 5 to 5000.",
        ),
    ] = None,
    customers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SHARE",
            help="A population that comes to the scenario's own, whose shares add up to about 1, as in raters=0.04; "
            "may be given again for another.",
        ),
    ] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave prompts and system prompts out of the logs.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="List the scenarios and stop.")] = False,
) -> None:
    """Make a world with known campaigns: accounts, exchanges by day, and the truth.

    Example: stillwatch simulate sim --scenario feb2026 --scale 0.02 --dose camouflage=0.5 --dose hygiene=1
    """
    from stillwatch import evaluation

    if show:
        for name, known in evaluation.scenarios().items():
            typer.echo(f"{name:14} {known.sentence}")
        return
    if no_text and prompts is not None:
        raise SettingsError("--no-text leaves prompts out, so --prompts has nothing to do; give one of the two")
    world = evaluation.scenario(scenario, evaluation.doses(dose or ()), evaluation.customer_shares(customers or ()))
    with progress_bars() as progress:
        made = evaluation.simulate(
            out,
            scenario=replace(world, with_text=world.with_text and not no_text),
            scale=scale,
            days=days,
            seed=seed,
            prompts=prompts,
            timing=timing,
            on_progress=lambda done, total: progress("simulate", done, total),
        )
    say(f"{out}: {made.accounts:,} accounts, {made.hostile_accounts:,} of them hostile, {made.exchanges:,} exchanges.")
    typer.echo(str(out))


@app.command()
def scan(
    logs: Annotated[list[str], typer.Argument(help="Log files, folders or globs (quote globs).")],
    out: Out = Path("out"),
    accounts: Annotated[Path | None, typer.Option(help="Accounts: Parquet, JSON lines or CSV.")] = None,
    input_format: Annotated[str | None, typer.Option(help="Force a log format instead of recognising it.")] = None,
    field_map: Annotated[Path | None, typer.Option(help="TOML that maps your field names to ours.")] = None,
    started_at: Annotated[datetime | None, typer.Option(help="When requests without a clock were made (UTC).")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the built-in one when left out.")] = None,
    memory_limit: Annotated[str, typer.Option(help="What tables may take before they spill to disk.")] = "4GB",
    threads: Annotated[int | None, typer.Option(help="Threads; all cores when left out.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    fdr: Annotated[float, typer.Option(help="False-discovery rate of shared traits.")] = 0.01,
    max_rejected_share: Annotated[float, typer.Option(help="Fail when more of the input cannot be read.")] = 0.2,
    exemplars: Annotated[bool, typer.Option(help="Show template skeletons, from prompts sampled in memory.")] = True,
    tlp: Annotated[
        str, typer.Option(help="Marking of the shared bundle: clear, green, amber, amber+strict, red.")
    ] = "amber",
    groups: Annotated[
        Path | None, typer.Option(help="Keys of sharing groups, for what partners sent; beside the key when left out.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Where tables live and work runs: embedded or spark.")] = "embedded",
    spark_master: Annotated[
        str | None,
        typer.Option(metavar="URL", help="With --engine spark: spark://host:7077, local[2], yarn, sc://host ..."),
    ] = None,
    work: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="With --engine spark: folder that driver and workers reach, any Hadoop path."),
    ] = None,
    fail_on_campaigns: Annotated[bool, typer.Option(help="Exit 3 when a distillation campaign is found.")] = False,
    output: As = Format.table,
) -> None:
    """Find campaigns in log files and write campaigns, accounts, bundle and report to a folder.

    Nothing acts on any account: decisions are recommended, in shadow.

    Example: stillwatch scan 'logs/*.jsonl.gz' --accounts accounts.csv --out out
    """
    with importing():
        from stillwatch.scan import scan as run_scan
        from stillwatch.settings import Settings

    settings = Settings(
        logs=tuple(logs),
        out=out,
        accounts=accounts,
        input_format=input_format,
        field_map=field_map,
        started_at=in_utc(started_at),
        policy=policy,
        memory_limit=memory_limit,
        threads=threads,
        seed=seed,
        false_discovery_rate=fdr,
        max_rejected_share=max_rejected_share,
        exemplars=exemplars,
        tlp=tlp,
        engine=engine,
        spark_master=spark_master,
        work=work,
        groups=groups,
    )
    with progress_bars() as progress:
        done = run_scan(settings, progress=progress)
    print_campaigns(done.campaigns, output)
    say_summary(done.run, out)
    if fail_on_campaigns and any(campaign["verdict"] == "distillation" for campaign in done.campaigns):
        raise typer.Exit(EXIT_CAMPAIGNS)


@app.command()
def evaluate(
    out: Annotated[Path, typer.Argument(help="Folder of the scan.", exists=True, file_okay=False)],
    truth: Annotated[Path, typer.Option(help="Truth that `simulate` wrote, or your own labels.")],
    output: As = Format.table,
) -> None:
    """Hold a scan against the truth: precision, recall, false positives per population, exposure.

    Example: stillwatch evaluate out --truth sim/truth.parquet
    """
    from stillwatch import evaluation

    measured = evaluation.evaluate(out, truth)
    if output is Format.json:
        typer.echo(measured.as_json())
        return
    for table in measured.as_tables():
        print_rows(table.title, table.columns, table.rows, output)


@campaigns_app.command("list")
def campaigns_list(out: Out = Path("out"), output: As = Format.table) -> None:
    """List the campaigns of the last scan, worst verdict first."""
    from stillwatch import store

    print_campaigns(store.read_campaigns(_scanned(out)), output)


@campaigns_app.command("show")
def campaigns_show(campaign_id: str, out: Out = Path("out")) -> None:
    """Print one campaign with everything it rests on, as JSON."""
    from stillwatch import store

    for campaign in store.read_campaigns(_scanned(out)):
        if campaign["campaign_id"] == campaign_id:
            typer.echo(store.json_text(campaign))
            return
    raise InputError(f"there is no campaign {campaign_id} in {out}; see `stillwatch campaigns list --out {out}`")


@campaigns_app.command("export")
def campaigns_export(
    out: Out = Path("out"), tlp: Annotated[str, typer.Option(help="TLP 2.0 marking.")] = "amber"
) -> None:
    """Print a STIX 2.1 bundle of the campaigns: no prompts, no raw identifiers, no account ids."""
    from stillwatch import sharing, store

    run = store.read_run(_scanned(out))
    bundle = sharing.bundle(store.read_campaigns(out), now=datetime.now(UTC), tlp=tlp, key_id=run.get("key_id"))
    typer.echo(bundle)


@app.command()
def explain(
    account: Annotated[str, typer.Argument(help="An account of the last scan, written as in the logs.")],
    out: Out = Path("out"),
    output: Annotated[TextFormat, typer.Option("--format", help="How to print it.")] = TextFormat.table,
) -> None:
    """Say why an account is in a campaign or in none, in words that can be shown to its holder on appeal.

    Names no other account and no identifier. Example: stillwatch explain acct-17 --out out
    """
    from dataclasses import asdict

    from stillwatch import explanations
    from stillwatch.store import json_text

    explained = explanations.explain(out, account)
    typer.echo(
        json_text(asdict(explained, dict_factory=_plain)) if output is TextFormat.json else explanations.text(explained)
    )


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A record as JSON holds it: days in ISO 8601."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in pairs}


@app.command()
def verdict(
    subject: Annotated[str, typer.Argument(help="An account or a campaign of the last scan.")],
    finding: Annotated[Finding, typer.Argument(help="What you found.")],
    because: Annotated[str, typer.Option(help="What it rests on, in words.")],
    out: Out = Path("out"),
    author: Annotated[str | None, typer.Option(help="Who decided; you when left out.")] = None,
) -> None:
    """Record an analyst's verdict; the next scan reads it.

    Example: stillwatch verdict c-0123456789ab innocent --because "known customer, spoke to them"
    """
    from stillwatch.subjects import record_verdict

    row = record_verdict(out, subject, finding.value, because, author=author)
    say(f"{row['subject_kind']} {subject}: {finding.value}. The next scan with --out {out} reads it.")


@policy_app.command("check")
def policy_check(
    file: Annotated[Path | None, typer.Argument(help="Policy file; the built-in one when left out.")] = None,
) -> None:
    """Check a policy file and say what it holds."""
    from stillwatch.decisions import load_policy

    policy = load_policy(file)
    typer.echo(f"{file or 'built-in policy'}: fine, {len(policy.rules)} rules")


@policy_app.command("backtest")
def policy_backtest(
    file: Annotated[Path, typer.Argument(help="Policy file to try.")],
    out: Out = Path("out"),
    innocents: Annotated[Path | None, typer.Option(help="Account ids known to be innocent, one a line.")] = None,
    accounts: Annotated[
        Path | None, typer.Option(help="Accounts, as given to the scan: access programmes and what was verified.")
    ] = None,
    output: As = Format.table,
) -> None:
    """Say whom a policy would have touched, beside the policy in use, and how many known innocents among them.

    Example: stillwatch policy backtest mine.toml --out out --innocents innocents.txt
    """
    from stillwatch.backtest import COLUMNS, backtest
    from stillwatch.store import json_text

    tried = backtest(file, out, innocents=innocents, accounts=accounts)
    if output is Format.json:
        typer.echo(json_text(tried.as_json()))
        return
    rows = [[str(cell) for cell in row] for row in tried.rows()]
    print_rows(f"{tried.policy} beside {tried.in_use}", COLUMNS, rows, output)
    for told in tried.not_known:
        say(told)


def _scanned(out: Path) -> Path:
    """The folder, if there was a scan in it."""
    from stillwatch import store

    if not (out / store.RUN).exists():
        raise InputError(f"there was no scan in {out}; run `stillwatch scan LOGS --out {out}` first")
    return out
