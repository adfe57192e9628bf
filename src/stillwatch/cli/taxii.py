"""Commands over partners and the collections they read and write."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from stillwatch.cli.commands import app
from stillwatch.cli.output import As, Format, print_rows, say
from stillwatch.cli.server import Config, Records, State, operator, records_of

partners_app = typer.Typer(help="Other providers: what they are cleared for and may do.", no_args_is_help=True)
app.add_typer(partners_app, name="partners")
collections_app = typer.Typer(help="Collections that partners read and write over TAXII.", no_args_is_help=True)
app.add_typer(collections_app, name="collections")

PartnerId = Annotated[str, typer.Argument(help="As in `stillwatch partners list`.", show_default=False)]
CollectionId = Annotated[str, typer.Argument(help="Id or alias, as in `stillwatch collections list`.")]
Clearance = Annotated[str | None, typer.Option(help="Highest TLP it may see: clear, green, amber, amber+strict, red.")]
Group = Annotated[list[str] | None, typer.Option(help="Sharing group it is a member of; may be repeated.")]
Identity = Annotated[str | None, typer.Option(help="Id of its STIX identity.")]


@partners_app.command("add")
def partners_add(
    partner_id: Annotated[str, typer.Argument(help="A name of a-z, 0-9 and dashes; its keys bear it.")],
    name: Annotated[str | None, typer.Option(help="What people call it; the id when left out.")] = None,
    clearance: Clearance = "amber",
    group: Group = None,
    identity: Identity = None,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Know a partner and print a key for it, once. It may do nothing before `stillwatch partners grant`.

    Another key: stillwatch keys make --name PARTNER --role partner. Example: stillwatch partners add north --clearance
    green
    """
    with records_of(config, state, database) as records:
        from stillwatch.server.access import made_key
        from stillwatch.server.taxii import partners

        now, by = datetime.now(UTC), operator()
        new = partners.Partner(partner_id, name or partner_id, clearance or "", identity, tuple(group or ()))
        with records.write() as connection:
            partners.added(connection, new, by=by, now=now)
        key = made_key(records, name=partner_id, roles=[partners.ROLE], by=by, now=now)
    say("Hand it over where nobody else reads; it is not shown again.")
    typer.echo(key)


@partners_app.command("change")
def partners_change(
    partner_id: PartnerId,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    clearance: Clearance = None,
    group: Group = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="It is in no sharing group.")] = False,
    identity: Identity = None,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Change what is told of a partner; what is left out stays. Groups that are given replace those it had."""
    groups = [] if no_groups else group
    told = {"name": name, "clearance": clearance, "identity_ref": identity, "groups": groups}
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import partners

        changes = {key: value for key, value in told.items() if value is not None}
        with records.write() as connection:
            partners.changed(connection, partner_id, changes, by=operator(), now=datetime.now(UTC))
    say(f"{partner_id} is changed.")


@partners_app.command("list")
def partners_list(
    output: As = Format.table, config: Config = None, state: State = None, database: Records = None
) -> None:
    """List every partner: clearance, groups, since when."""
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import partners

        with records.read() as connection:
            rows = partners.every(connection)
    _print("Partners", ("partner_id", "name", "clearance", "groups", "identity_ref", "added_at"), rows, output)


@partners_app.command("remove")
def partners_remove(
    partner_id: PartnerId, config: Config = None, state: State = None, database: Records = None
) -> None:
    """Forget a partner: its rights end and its keys are revoked, at once. What it sent stays."""
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import partners

        with records.write() as connection:
            revoked = partners.removed(connection, partner_id, by=operator(), now=datetime.now(UTC))
    say(f"{partner_id} is removed; {revoked} of its keys were revoked.")


@partners_app.command("grant")
def partners_grant(
    partner_id: PartnerId,
    collection: CollectionId,
    read: Annotated[bool, typer.Option("--read", help="It may read the collection.")] = False,
    write: Annotated[bool, typer.Option("--write", help="It may add objects to the collection.")] = False,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Let a partner read or write a collection, in place of what it might before; neither takes its rights away.

    Example: stillwatch partners grant north released --read
    """
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import collections

        rights: Any = {"can_read": read, "can_write": write}
        with records.write() as connection:
            collections.granted(connection, collection, partner_id, **rights, by=operator(), now=datetime.now(UTC))
    may = " and ".join(word for word, is_so in (("read", read), ("write", write)) if is_so) or "do nothing in"
    say(f"{partner_id} may {may} {collection}.")


@collections_app.command("add")
def collections_add(
    title: Annotated[str, typer.Argument(help="What partners read it is called.")],
    alias: Annotated[str | None, typer.Option(help="A short name to use for its id.")] = None,
    description: Annotated[str | None, typer.Option(help="One line about it.")] = None,
    group: Annotated[str | None, typer.Option(help="Only members of this sharing group have rights.")] = None,
    config: Config = None,
    state: State = None,
    database: Records = None,
) -> None:
    """Make a collection that nobody may read or write yet, and print its id.

    Example: stillwatch collections add "What we release" --alias released
    """
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import collections

        told: Any = {"title": title, "alias": alias, "description": description, "group_id": group}
        with records.write() as connection:
            made = collections.made(connection, **told, by=operator(), now=datetime.now(UTC))
    typer.echo(made)


@collections_app.command("list")
def collections_list(
    output: As = Format.table, config: Config = None, state: State = None, database: Records = None
) -> None:
    """List every collection, and who may do what in it."""
    with records_of(config, state, database) as records:
        from stillwatch.server.taxii import collections

        with records.read() as connection:
            rows = collections.every(connection)
    if output is not Format.json:
        for row in rows:
            row["rights"] = [f"{right['partner_id']}:{_letters(right)}" for right in row["rights"]]
    _print("Collections", ("collection_id", "alias", "title", "group_id", "rights"), rows, output)


def _letters(right: dict[str, Any]) -> str:
    return ("r" if right["can_read"] else "") + ("w" if right["can_write"] else "")


def _print(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]], output: Format) -> None:
    """Rows of the records as a table, CSV or JSON."""
    if output is Format.json:
        from stillwatch.store import json_text

        typer.echo(json_text([{name: _plain(value) for name, value in row.items()} for row in rows]))
        return
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    print_rows(title, [column.replace("_", " ") for column in columns], cells, output)


Value = str | datetime | list[str] | list[dict[str, Any]] | None


def _plain(value: Value) -> str | list[str] | list[dict[str, Any]] | None:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _cell(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(_plain(value) or "")
