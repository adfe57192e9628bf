"""Commands of the service: run it, make its keys, look after its database, and check that it can work."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillwatch.cli.commands import EXIT_FAILED, TextFormat, app
from stillwatch.cli.output import As, Format, Out, print_rows, say
from stillwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillwatch.server import ServerSettings, Service
    from stillwatch.server.database import Database

EXTRA = "this needs the server, which is not installed: pip install 'stillwatch[server]'"

Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file of settings; defaults when left out.", dir_okay=False)
]
State = Annotated[Path | None, typer.Option("--state", help="Folder of the state, over the settings.", file_okay=False)]
Records = Annotated[str | None, typer.Option("--database", help="postgresql://HOST/NAME, over the settings.")]

keys_app = typer.Typer(help="Make, list and revoke API keys of the service.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
database_app = typer.Typer(help="Look after the schema of the service's database.", no_args_is_help=True)
app.add_typer(database_app, name="database")


@app.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, over the settings.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, over the settings; 0 for any.", min=0, max=65535)] = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Take traffic, find campaigns every few minutes and answer gateways, until interrupted.

    Example: stillwatch serve --config stillwatch.toml
    """
    settings = _settings(config, state, database)
    listening = replace(
        settings.server,
        host=settings.server.host if host is None else host,
        port=settings.server.port if port is None else port,
    )
    from stillwatch.server.operate.serving import serve as run_service

    run_service(replace(settings, server=listening), tell=_told)


def _told(service: "Service", url: str) -> None:
    """Say where it listens, and how to make the first key when there is none."""
    from stillwatch.server.access import keys

    say(f"stillwatch listens on {url}; interrupt it to stop.")
    if not keys(service.database):
        say("There is no API key yet. Make the first one, with the same --config, --state and --database:")
        say("stillwatch keys make --name NAME --role admin (admin may everything but bring traffic in: --role ingest)")
    typer.echo(url)


@keys_app.command("make")
def keys_make(
    name: Annotated[str, typer.Option(help="Whose key it is, or what it is for; told in the audit log.")],
    role: Annotated[
        list[str],
        typer.Option(help="ingest, enforcer, analyst, approver, admin or partner; may be repeated."),
    ],
    namespace: Annotated[
        str | None, typer.Option(help="Goes before every account id that the key brings in: a source of its own.")
    ] = None,
    expires_days: Annotated[int | None, typer.Option(help="Ends after so many days.", min=1)] = None,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Make an API key and print it, once: what is kept is its hash.

    Example: stillwatch keys make --name gateway-1 --role enforcer
    """
    with records_of(config, state, database) as records:
        from stillwatch.server.access import made_key

        now = datetime.now(UTC)
        key = made_key(
            records,
            name=name,
            roles=role,
            by=operator(),
            now=now,
            namespace=namespace,
            expires_at=None if expires_days is None else now + timedelta(days=expires_days),
        )
    say("Keep it; it is not shown again.")
    typer.echo(key)


@keys_app.command("list")
def keys_list(output: As = Format.table, config: Config = None, state: State = None, database: Records = None) -> None:
    """List every key that was made: who holds it, what for, until when. Never the key."""
    with records_of(config, state, database, begun=True) as records:
        from stillwatch.server.access import keys

        rows = keys(records)
    told = [{name: _cell(value) for name, value in row.items()} for row in rows]
    if output is Format.json:
        from stillwatch.store import json_text

        typer.echo(json_text(told))
        return
    columns = ("key_id", "name", "roles", "namespace", "created_at", "expires_at", "revoked_at")
    cells = [[str(row[column] or "") for column in columns] for row in told]
    print_rows("Keys", [column.replace("_", " ") for column in columns], cells, output)


def _cell(value: str | datetime | list[str] | None) -> str | None:
    """A value of a key as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return " ".join(value) if isinstance(value, list) else value


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="As in `stillwatch keys list`: what follows sw_ in the key.")],
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Have a key stop working at once."""
    with records_of(config, state, database, begun=True) as records:
        from stillwatch.server.access import revoke

        revoke(records, key_id, by=operator(), now=datetime.now(UTC))
    say(f"{key_id} is revoked.")


@database_app.command("upgrade")
def database_upgrade(config: Config = None, state: State = None, database: Records = None) -> None:
    """Bring the schema to this version, as `serve` does when it starts; print the revision."""
    with records_of(config, state, database, brought_on=False) as records:
        from stillwatch.server.migrations import newest

        before = records.make()
        done = "there was nothing to do" if before == newest() else f"brought on from {before or 'an empty one'}"
        say(f"{records.name}: {done}.")
    typer.echo(newest())


@database_app.command("current")
def database_current(config: Config = None, state: State = None, database: Records = None) -> None:
    """Print the revision of the schema; exit 1 when this version needs another."""
    with records_of(config, state, database, brought_on=False) as records:
        from stillwatch.server.migrations import current, newest

        with records.read() as connection:
            revision = current(connection)
    typer.echo(revision or "none")
    if revision != newest():
        say(f"This version needs {newest()}: run `stillwatch database upgrade`, or start the service.")
        raise typer.Exit(EXIT_FAILED)


@app.command()
def erase(
    account: Annotated[str, typer.Option(help="Account whose data goes.")],
    out: Out = Path("out"),
    holds: Annotated[Path | None, typer.Option(help="CSV of legal holds: account_id, reason, until.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of a state to erase it from too.", file_okay=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings of a service: erase it from there, by its holds too.", dir_okay=False),
    ] = None,
) -> None:
    """Erase an account from every file of the output folder, and of a state; refused under legal hold.

    Logs are yours to erase: a later scan of logs that still hold the account finds it again. The state of a service is
    erased as the service does it, with its records, and its legal holds count.
    """
    from stillwatch.subjects import erase as run_erase
    from stillwatch.subjects import read_holds, refuse_held

    now = datetime.now(UTC)
    held = None if holds is None else read_holds(holds)
    removed: dict[str, int] = {}
    if config is not None or (state is not None and (state / "records.db").exists()):
        refuse_held(held, account, now.date())
        settings = _settings(config, state, None)
        from stillwatch.server import opened
        from stillwatch.server.operate.erasure import erase as erase_from_service

        with opened(settings) as service:
            removed, state = erase_from_service(service, account, by=operator(), now=now), None
    if not removed or _was_scanned(out):
        removed |= run_erase(out, account, holds=held, state=state, today=now.date())
    say(f"{account} erased: " + ", ".join(f"{count} from {name}" for name, count in removed.items()) + ".")


def _was_scanned(out: Path) -> bool:
    from stillwatch import store

    return (out / store.RUN).exists()


@app.command()
def doctor(
    config: Config = None,
    service: Annotated[
        bool, typer.Option("--service", help="Check the service as the environment and defaults set it.")
    ] = False,
    output: Annotated[TextFormat, typer.Option("--format", help="How to print it.")] = TextFormat.table,
) -> None:
    """Check that this installation can work: key, libraries, kernels; with --config or --service, that the service can.

    Exit 1 when something has to be put right first. Example: stillwatch doctor --config stillwatch.toml
    """
    told = _installation()
    if service or config is not None:
        settings = _settings(config, None, None)
        from stillwatch.server.operate.doctor import findings

        told += [(finding.name, finding.outcome, finding.words) for finding in findings(settings)]
    if output is TextFormat.json:
        from stillwatch.store import json_text

        typer.echo(json_text([dict(zip(("name", "outcome", "words"), row, strict=True)) for row in told]))
    else:
        for name, outcome, words in told:
            typer.echo(f"{outcome:8} {name:18} {words}")
    if any(outcome == "failed" for _, outcome, _ in told):
        raise typer.Exit(EXIT_FAILED)


def _installation() -> list[tuple[str, str, str]]:
    """What stands whether or not there is a service: key, libraries, kernels."""
    import importlib.metadata

    import pyarrow as pa

    from stillwatch.records import EXCHANGES, arrow_schema
    from stillwatch.settings import key_path, key_secret
    from stillwatch.signals import signals

    path = key_path()
    told = [("key", "ok", f"{path} ({len(key_secret(path))} bytes)")]
    for name in ("duckdb", "ibis-framework", "pyarrow", "numba", "numpy", "graspologic-native", "stix2"):
        told.append((name, "ok", importlib.metadata.version(name)))
    signals(pa.RecordBatch.from_pylist([], schema=arrow_schema(EXCHANGES)))  # compiles or loads every kernel
    return [*told, ("kernels", "ok", "compiled")]


def operator() -> str:
    """Who works at this machine, for the audit log."""
    import getpass

    return f"cli:{getpass.getuser()}"


@contextmanager
def records_of(
    config: Path | None, state: Path | None, database: str | None, *, brought_on: bool = True, begun: bool = False
) -> "Iterator[Database]":
    """The database of records, its schema brought to this version or left as it is; closed at the end.

    Raises:
        SettingsError: it is to be `begun` already, and there is none: another folder was meant.
    """
    storing = _settings(config, state, database).storage
    from stillwatch.server.database import Database

    if begun and not storing.database and not (storing.state / "records.db").exists():
        raise SettingsError(f"{storing.state} holds no records. Give the --config or --state of the service.")
    records = Database(storing.database_url)
    try:
        if brought_on and records.make() is None:
            say(f"This begins a new database, {records.name}. A service that runs elsewhere will not see it.")
        yield records
    finally:
        records.close()


def _settings(config: Path | None, state: Path | None, database: str | None) -> "ServerSettings":
    """The settings of the service, with what the command line replaces.

    Raises:
        SettingsError: they cannot be used, or the server is not installed.
    """
    try:
        from stillwatch.server import load_server_settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("stillwatch"):
            raise
        raise SettingsError(f"{EXTRA} ({error.name} is missing)") from error
    settings = load_server_settings(config)
    storing = settings.storage
    return replace(
        settings,
        storage=replace(
            storing,
            state=storing.state if state is None else state,
            database=storing.database if database is None else database,
        ),
    )
