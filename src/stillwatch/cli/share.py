"""Commands that share: what a recipient would be told about campaigns, telling it, taking it back, and the record."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillwatch.cli.commands import TextFormat, app
from stillwatch.cli.output import WORDS_COLUMN, As, Format, print_rows, say
from stillwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stillwatch.partners.outbound import Sending
    from stillwatch.sharing.changes import Change
    from stillwatch.sharing.gate import Considered
    from stillwatch.sharing.ledger import Ledger

share_app = typer.Typer(help="Share indicators with other providers, and use theirs.", no_args_is_help=True)
app.add_typer(share_app, name="share")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the scan.", exists=True, file_okay=False)]
To = Annotated[str, typer.Option(help="Recipient, as the file of recipients names it.")]
Tlp = Annotated[
    str | None, typer.Option(help="TLP 2.0 marking; amber, or what the recipient may see at most, when left out.")
]
People = Annotated[
    Path | None, typer.Option("--recipients", help="TOML file of recipients; beside the key when left out.")
]
GroupsFolder = Annotated[Path | None, typer.Option("--groups", help="Sharing groups; beside the key when left out.")]
GroupId = Annotated[
    str | None, typer.Option("--group", help="Sharing group to send under, where the recipient is in several.")
]
Approver = Annotated[str | None, typer.Option(help="Who answers for it, by name; told in the record.")]
File = Annotated[Path, typer.Option("--out", help="File to write.", dir_okay=False)]


class Form(StrEnum):
    """In what form something leaves."""

    stix = "stix"
    misp = "misp"
    sigma = "sigma"
    csv = "csv"
    jsonl = "jsonl"


SHOWN_CHARACTERS = 60  # of a value in a table; JSON has all of it


@share_app.command("preview")
def share_preview(
    folder: Folder,
    to: To,
    tlp: Tlp = None,
    group: GroupId = None,
    recipients: People = None,
    groups: GroupsFolder = None,
    output: Annotated[TextFormat, typer.Option("--format", help="How to print it.")] = TextFormat.table,
) -> None:
    """Say what a recipient would be sent that is new to it, and what stays and why. Nothing is written.

    Example: stillwatch share preview out --to northern-lab
    """
    from stillwatch.partners.outbound import outbound
    from stillwatch.sharing.ledger import Ledger
    from stillwatch.store import json_text

    sending = _sending(to, tlp, group, recipients, groups)
    would = outbound(folder, sending, before=Ledger(folder).held_by(sending.recipient.name))
    if output is TextFormat.json:
        typer.echo(json_text(would.as_json()))
        return
    print_rows(f"For {to}", ("what", "object", "id", WORDS_COLUMN), list(_leaving(would)), Format.table)
    typer.echo("")
    print_rows("Stays", ("object", "id", WORDS_COLUMN), list(_staying(would)), Format.table)
    _say_size(would)


@share_app.command("export")
def share_export(
    folder: Folder,
    to: To,
    approver: Approver = None,
    tlp: Tlp = None,
    group: GroupId = None,
    recipients: People = None,
    groups: GroupsFolder = None,
    form: Annotated[Form, typer.Option("--as", help="In what form to write it.")] = Form.stix,
    file: File = Path("bundle.json"),
) -> None:
    """Write what may leave for a recipient to a file, and a record of it to the folder.

    Example: stillwatch share export out --to northern-lab --approver "A. Analyst" --out for-northern-lab.json
    """
    from stillwatch.partners.outbound import outbound
    from stillwatch.sharing.ledger import ledger

    sending = _sending(to, tlp, group, recipients, groups)
    with ledger(folder) as book:
        would = outbound(folder, sending, before=book.held_by(sending.recipient.name))
        _let_go(would, book, "export", approver, file, form)


@share_app.command("revoke")
def share_revoke(
    folder: Folder,
    to: To,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Campaigns or objects, by id.")] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Everything that a scan no longer finds.")] = False,
    because: Annotated[str, typer.Option(help="wrong, innocent, erased, expired, rotated or misdirected.")] = "wrong",
    approver: Approver = None,
    recipients: People = None,
    file: File = Path("revocation.json"),
) -> None:
    """Write a bundle that takes back what a recipient was sent, and what hangs on it alone.

    Example: stillwatch share revoke out c-0123456789ab --to northern-lab --approver "A. Analyst" --out revoked.json
    """
    from stillwatch.partners.outbound import outbound, taken_back
    from stillwatch.sharing.ledger import ledger

    if bool(ids) == gone:
        raise SettingsError("name what to take back by id, or give --gone: one of the two")
    sending = _sending(to, None, None, recipients, None)
    with ledger(folder) as book:
        before = book.held_by(sending.recipient.name)
        wanted = outbound(folder, sending, before=before).differences.gone if gone else ids or ()
        would = taken_back(folder, sending, wanted, because=because, before=before)
        _let_go(would, book, "revoke", approver, file, Form.stix)


@share_app.command("alias")
def share_alias(
    folder: Folder,
    campaign_id: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A campaign of the scan.")],
    name: Annotated[str, typer.Argument(help="One to three words with capitals, perhaps with a number.")],
    author: Annotated[str, typer.Option(help="Handle of whoever gives it; it is shared.")] = "",
    grounds: Annotated[
        str, typer.Option(help="public report, partner, own investigation, court record or admission.")
    ] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Take the name away again.")] = False,
) -> None:
    """Give whoever is behind a campaign a name, with its author and grounds; the software never gives one.

    Example: stillwatch share alias out c-0123456789ab "Amber Heron" --author analyst-7 --grounds "public report"
    """
    from stillwatch.partners import aliases
    from stillwatch.sharing import Alias

    if drop:
        aliases.take(folder, campaign_id, name)
        say("The alias is dropped; what was sent with it has it until the next export.")
        return
    aliases.give(folder, Alias(campaign_id, name, author, grounds, datetime.now(UTC)))
    say("The alias leaves with the next export.")


@share_app.command("log")
def share_log(
    folder: Folder,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no record was changed; fail if one was.")
    ] = False,
    newest: Annotated[str | None, typer.Option(help="With --verify: a hash you kept, to be found in it.")] = None,
    output: As = Format.table,
) -> None:
    """List what was sent to whom, who approved it, and its digest; never what it said.

    Example: stillwatch share log out --verify
    """
    from stillwatch.sharing.ledger import Ledger, check
    from stillwatch.store import json_text

    if newest is not None and not verify:
        raise SettingsError("--newest needs --verify")
    book = Ledger(folder)
    rows = book.records()
    if verify:
        check(book, newest)
        say(f"{len(rows)} records, each as it was written; newest hash: {rows[-1]['hash'] if rows else 'none'}")
    if output is Format.json:
        typer.echo(json_text(rows))
        return
    columns = (
        "sequence",
        "at",
        "act",
        "recipient",
        "marking",
        "approver",
        "proposer",
        "form",
        "object_count",
        "digest",
    )
    cells = [[str(row[name] if row[name] is not None else "") for name in columns] for row in rows]
    print_rows("Sent", [name.replace("_", " ") for name in columns], cells, output)


def _sending(to: str, tlp: str | None, group: str | None, recipients: Path | None, groups: Path | None) -> "Sending":
    from stillwatch.partners.outbound import read_recipients, recipients_path, sending
    from stillwatch.settings import groups_path

    told = read_recipients(recipients or recipients_path())
    return sending(told, to, groups or groups_path(), tlp=tlp, group_id=group, now=datetime.now(UTC))


def _let_go(would: "Considered", book: "Ledger", act: str, approver: str | None, file: Path, form: Form) -> None:
    """Release it, write the record, then the file."""
    from stillwatch.sharing.files import write_private
    from stillwatch.sharing.gate import released

    now = datetime.now(UTC)
    write = _writer(form, now)
    done = released(would, approver=approver, proposer=_operator(), now=now, form=form.value, write=write)
    row = book.append(act, done.row(), done.held_after(book.held_by(would.recipient.name)))
    write_private(file, done.text.encode())
    _say_size(would)
    say(f"{file}: for {row['recipient']} under TLP:{row['marking'].upper()}; record {row['sequence']}, hash:")
    typer.echo(row["hash"])


def _writer(form: Form, now: datetime) -> "Callable[[Sequence[dict[str, Any]]], str] | None":
    """What writes objects in that form; None for the bundle that the gate has made already."""
    from stillwatch.sharing.formats import FORMATS

    return None if form is Form.stix else lambda objects: FORMATS[form].write(objects, now)


def _operator() -> str:
    import getpass

    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):
        return "user:unknown"


def _leaving(would: "Considered") -> "Iterator[tuple[str, ...]]":
    kinds = {object_["id"]: object_["type"] for object_ in would.objects}
    names = {object_["id"]: object_.get("name", "") for object_ in would.objects}
    found = would.differences
    for what, ids in (("new", found.new), ("revoked", found.revoked)):
        yield from ((what, kinds[one], one, names[one]) for one in ids)
    for one, changes in found.changed.items():
        yield from (("changed", kinds[one], one, _change(change)) for change in changes)
    for what, count in (("unchanged", len(found.unchanged)), ("gone", len(found.gone))):
        if count:
            told = "sent before, as it stands" if what == "unchanged" else "sent before, not found now: share revoke"
            yield (what, f"{count:,} objects", "", told)


def _change(change: "Change") -> str:
    return f"{change.path.rpartition('.')[2]}: {_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries"
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _staying(would: "Considered") -> "Iterator[tuple[str, ...]]":
    for one in would.withheld:
        count = "" if one.values is None else f"{one.values:,} values: "
        yield (one.object_type, one.object_id, f"{count}{one.because}")


def _say_size(would: "Considered") -> None:
    count, size = len(would.objects), len(would.text.encode())
    say(f"{count:,} objects, {size:,} bytes; {len(would.withheld):,} withheld, wholly or in part.")
    if would.too_large:
        say(f"{would.too_large}: it would be refused.")
