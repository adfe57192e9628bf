"""Commands of private matching: which identifiers a partner has too, without showing it the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillwatch.cli.output import As, Format, print_rows, progress_bars, say
from stillwatch.cli.server import Config, Records, State, _settings, operator, records_of
from stillwatch.cli.share import share_app
from stillwatch.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

psi_app = typer.Typer(help="Match identifiers with a partner without showing it the others.", no_args_is_help=True)
share_app.add_typer(psi_app, name="psi")

KEY_VARIABLE = "STILLWATCH_PEER_KEY"
LONGEST_NAME = 200
EXTRA = "this needs what sharing needs, which is not installed: pip install 'stillwatch[sharing,server]'"

File = Annotated[
    Path, typer.Argument(help="Identifiers: one a line, or a CSV with a header.", exists=True, dir_okay=False)
]
Kind = Annotated[str, typer.Option(help="payment, device, account or email.")]
Column = Annotated[str | None, typer.Option(help="Column of the CSV; needed when there are several.")]
Skip = Annotated[bool, typer.Option("--skip-refused", help="Leave out identifiers that are refused, and say how many.")]


@psi_app.command("match")
def psi_match(
    file: File,
    kind: Kind,
    peer: Annotated[str, typer.Option(help="Address of the partner's service, as in https://HOST.")],
    partner: Annotated[str, typer.Option(help="Its name with us: what a day allows is counted under it.")],
    key_file: Annotated[
        Path | None, typer.Option(help=f"File with the API key it gave us; or set {KEY_VARIABLE}.", dir_okay=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="File for those it has too.", dir_okay=False)] = Path(
        "matched.txt"
    ),
    column: Column = None,
    skip_refused: Skip = False,
    ca: Annotated[Path | None, typer.Option(help="Certificates to trust instead of the system's.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores when left out.", min=1)] = None,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Find out which identifiers of a file the partner has too, and write those to a file of ours.

    Example: stillwatch share psi match cards.txt --kind payment --peer https://north.example --partner north
    """
    import os

    _refuse_names([partner])
    key = _peer_key(key_file)
    values, prepared, digests = _prepared(file, column, kind, skip_refused)
    _spend(partner, len(digests), config=config, state=state, database=database)
    from stillwatch.partners.psi import Side, matched

    with progress_bars() as progress:
        match = matched(
            Side(peer, key, ca),
            kind,
            digests,
            threads=threads or os.cpu_count() or 1,
            on_progress=progress,
        )
    spelt = list(prepared)
    rows = sorted(i for position in match.positions for i in prepared[spelt[position]])
    _write_private(out, [values[i] for i in rows])
    say(
        f"{len(match.positions):,} of {len(digests):,} identifiers are with the partner too, which has at most "
        f"{match.own_size:,}; {out} holds them. {match.inputs_left:,} more may be put in today."
    )
    typer.echo(str(len(match.positions)))


@psi_app.command("offer")
def psi_offer(
    file: File,
    kind: Kind,
    partner: Annotated[
        list[str] | None, typer.Option(help="Whom to offer it to; may be repeated. Every partner when left out.")
    ] = None,
    days: Annotated[int, typer.Option(help="For how long.", min=1, max=90)] = 30,
    column: Column = None,
    skip_refused: Skip = False,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Let partners match their identifiers against those of a file; print the id of the set.

    Example: stillwatch share psi offer banned-cards.csv --column fingerprint --kind payment --partner north
    """
    from datetime import UTC, datetime

    _refuse_names(partner or [])
    values = _values(file, column)
    with records_of(config, state, database) as records:
        from stillwatch import ingest
        from stillwatch.server.psi import sets
        from stillwatch.settings import key_path, key_secret

        key, limits = ingest.Key(key_secret(key_path())), _settings(config, state, database).matching
        offer = sets.Offer(kind, values, partner, days, skip_refused)
        made = sets.offered(records, key, limits, offer, by=operator(), now=datetime.now(UTC))
    if made["refused"]:
        say(f"{made['refused']:,} identifiers were refused and left out.")
    say(f"{made['size']:,} identifiers are offered until {made['expires_at']:%Y-%m-%d}.")
    typer.echo(made["set_id"])


@psi_app.command("sets")
def psi_sets(output: As = Format.table, config: Config = None, state: State = None, database: Records = None) -> None:
    """List the sets that are offered: of which kind, how large, to whom, until when. Never what is in them."""
    from datetime import UTC, datetime

    with records_of(config, state, database) as records:
        from stillwatch.server.psi.sets import listed

        with records.read() as connection:
            rows = listed(connection, datetime.now(UTC))
    columns = ("set_id", "kind", "size", "partners", "offered_by", "expires_at")
    cells = [
        [str(value) if column != "partners" else ("every partner" if value is None else " ".join(value))
         for column in columns for value in (row[column],)]
        for row in rows
    ]  # fmt: skip
    print_rows("Sets", [column.replace("_", " ") for column in columns], cells, output)


@psi_app.command("withdraw")
def psi_withdraw(
    set_id: Annotated[str, typer.Argument(help="As `stillwatch share psi sets` lists it.")],
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Offer a set no longer, and remove it."""
    from datetime import UTC, datetime

    with records_of(config, state, database) as records:
        from stillwatch.server.psi.sets import withdrawn

        with records.write() as connection:
            if not withdrawn(connection, set_id, by=operator(), now=datetime.now(UTC)):
                raise InputError(f"there is no set {set_id}; see `stillwatch share psi sets`")
    say(f"{set_id} is withdrawn.")


@psi_app.command("hash-list")
def psi_hash_list(kind: Kind) -> None:
    """Say why identifiers are not written to a file as hashes, of whatever kind: it always refuses."""
    from stillwatch.sharing.identifiers import refuse_hashed_list

    refuse_hashed_list(kind)


def _prepared(
    file: Path, column: str | None, kind: str, skip_refused: bool
) -> "tuple[list[str], dict[str, list[int]], list[bytes]]":
    """The values of a file, where each identifier stands among them, and a digest of each identifier."""
    values = _values(file, column)
    try:
        from stillwatch.sharing import psi
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("stillwatch"):
            raise
        raise SettingsError(f"{EXTRA} ({error.name} is missing)") from error
    from stillwatch.ingest.keys import normalised
    from stillwatch.sharing import identifiers

    found = identifiers.prepared(kind, values, normalised, skip_refused=skip_refused)
    if found.refused:
        say(f"{len(found.refused):,} identifiers are refused and left out.")
    if not found.positions:
        raise InputError(f"{file} holds no identifier that can be matched.")
    return values, found.positions, [psi.digest(kind, one) for one in found.positions]


def _spend(partner: str, count: int, *, config: Path | None, state: Path | None, database: str | None) -> None:
    """Count what we are about to put in, in our own records, before anything moves."""
    from datetime import UTC, datetime

    with records_of(config, state, database) as records:
        from stillwatch.server import audit
        from stillwatch.server.psi import caps
        from stillwatch.sharing.psi import bucket

        limits, now, size = _settings(config, state, database).matching, datetime.now(UTC), bucket(count)
        with records.write() as connection:
            caps.spend(connection, limits, partner=partner, direction=caps.SENT, count=size, now=now)
            told = {"size": size}
            audit.record(connection, at=now, principal=operator(), action="psi.sent", subject=partner, after=told)


def _refuse_names(names: "Sequence[str]") -> None:
    wrong = [name for name in names if not (0 < len(name) <= LONGEST_NAME and name.isascii() and name.isprintable())]
    if wrong:
        raise SettingsError(f"the name of a partner: give the name of its key, at most {LONGEST_NAME} characters.")


def _peer_key(key_file: Path | None) -> str:
    import os

    try:
        key = os.environ.get(KEY_VARIABLE, "") if key_file is None else key_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the key in {key_file}. Check the path and who may read it.") from error
    key = key.strip()
    if not (key and key.isascii() and key.isprintable()):
        raise SettingsError(f"no API key of the partner: name a file with --key-file, or set {KEY_VARIABLE}.")
    return key


def _values(file: Path, column: str | None) -> list[str]:
    """One value a line; of a CSV the values of one column."""
    import csv

    try:
        if file.suffix.lower() != ".csv" and column is None:
            return file.read_text(encoding="utf-8-sig").splitlines()
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            names = list(reader.fieldnames or ())
            wanted = column if column is not None else names[0] if len(names) == 1 else None
            if wanted not in names:
                raise InputError(f"{file}: name one of its columns with --column: {', '.join(names)}.")
            return [row[wanted] or "" for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {file}: give text in UTF-8, one identifier a line, or a CSV.") from error


def _write_private(path: Path, lines: "Sequence[str]") -> None:
    """Write a file that only its owner may read, in one step."""
    import os
    import tempfile

    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        Path(name).replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}. Choose another --out.") from error
