"""Commands between partners: pull what they offer, push what was released for them, and say what became of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillwatch.cli.commands import EXIT_FAILED
from stillwatch.cli.output import WORDS_COLUMN, As, Format, print_rows, progress_bars, say
from stillwatch.cli.share import Approver, File, Folder, Form, People, Tlp, share_app
from stillwatch.cli.share import _let_go as let_go
from stillwatch.cli.share import _sending as sending_of
from stillwatch.errors import SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    from stillwatch.partners import Peer
    from stillwatch.partners.feedback import Said
    from stillwatch.partners.inbox import Taken
    from stillwatch.partners.leads import Sender
    from stillwatch.partners.outbound import Sending
    from stillwatch.partners.outcomes import Match

PeersFile = Annotated[
    Path | None, typer.Option("--peers", help="TOML file of peers; beside the key when left out.", dir_okay=False)
]
Peer_ = Annotated[str, typer.Option("--to", help="Peer, as the peers file names it.")]
LeastPrecision = Annotated[
    float, typer.Option(help="Leave out senders whose leads have been right less often.", min=0.0, max=1.0)
]
LEAST = 0.2  # as in partners.outcomes, which is not imported before it is needed
EXTRA = "this needs the client, which is not installed: pip install 'stillwatch[sharing]'"


@share_app.command("pull")
def share_pull(
    out: Annotated[
        Path, typer.Option("--out", "--state", "-o", help="Folder of the scan, or of the state.", file_okay=False)
    ] = Path("out"),
    peers: PeersFile = None,
    least_precision: LeastPrecision = LEAST,
    output: As = Format.table,
) -> None:
    """Fetch what peers offer, check and keep it, and write the leads that the next scan looks for.

    A peer that fails does not stop the others; then the exit code is 1. Example: stillwatch share pull --out out
    """
    from stillwatch.partners import Inbox, write_leads

    transfer, inbox, told = _transfer(), Inbox(out), _peers(peers)
    with progress_bars() as progress:
        done = transfer.pull(inbox, told, now=_now, on_progress=progress)
    count = write_leads(inbox, _now(), least_precision=least_precision).num_rows
    _print("Pulled", PULLED, [_taken_row(one.peer, one.taken) for one in done], output)
    for one in done:
        if one.fault:
            say(f"{one.peer}: {one.fault}")
    say(f"{count:,} values from partners are looked for by the next scan with --out {out}.")
    if any(one.fault for one in done):
        raise typer.Exit(EXIT_FAILED)


PULLED = ("peer", "new", "known", "not used", "refused", WORDS_COLUMN)


def _taken_row(peer: str, taken: "Taken") -> list[Any]:
    return [peer, taken.kept, taken.known, taken.unused, sum(taken.refused.values()), taken.refused]


@share_app.command("receive")
def share_receive(
    file: Annotated[Path, typer.Argument(help="What the partner handed over.", exists=True, dir_okay=False)],
    sender: Annotated[str, typer.Option("--from", help="Peer, as the peers file names it.")],
    out: Annotated[
        Path, typer.Option("--out", "--state", "-o", help="Folder of the scan, or of the state.", file_okay=False)
    ] = Path("out"),
    peers: PeersFile = None,
    form: Annotated[str, typer.Option("--as", help="stix, misp, csv or jsonl.")] = "stix",
    least_precision: LeastPrecision = LEAST,
    output: As = Format.table,
) -> None:
    """Take in a file that a partner without a server handed over, under the same checks as a pull.

    Example: stillwatch share receive from-north.misp.json --from north --as misp --out out
    """
    from stillwatch.partners import Inbox, write_leads
    from stillwatch.partners.files import receive
    from stillwatch.partners.peers import peer_of

    told = _peers(peers)
    inbox = Inbox(out)
    taken = receive(inbox, peer_of(told, sender), told, file, form, now=_now())
    write_leads(inbox, _now(), least_precision=least_precision)
    _print("Received", PULLED, [_taken_row(sender, taken)], output)


@share_app.command("push")
def share_push(
    folder: Folder,
    bundle: Annotated[Path, typer.Argument(help="Bundle that was exported from it for that peer.", dir_okay=False)],
    to: Peer_,
    peers: PeersFile = None,
    output: As = Format.table,
) -> None:
    """Send a bundle that `share export` wrote for a peer to that peer's collection.

    Example: stillwatch share push out for-north.json --to north --peers peers.toml
    """
    from stillwatch.partners.peers import peer_of
    from stillwatch.partners.releases import released_objects

    peer = peer_of(_peers(peers), to)
    done = _transfer().push(peer, released_objects(folder, bundle, to))
    _print("Pushed", ("peer", "taken", "refused", "pending"), [[to, done.taken, done.refused, done.pending]], output)
    if done.refused:
        say(f"{to} refused {done.refused:,} objects.")
        raise typer.Exit(EXIT_FAILED)


SENDERS = ("partner", "sender", "in force", "values", "precision", "right", "wrong", "heard", "received", "valid until")


@share_app.command("leads")
def share_leads(folder: Folder, least_precision: LeastPrecision = LEAST, output: As = Format.table) -> None:
    """Say what was received from whom: indicators in force, how often the sender was right, until when they hold.

    Example: stillwatch share leads out --format json
    """
    from stillwatch.partners.inbox import Inbox
    from stillwatch.partners.leads import senders

    inbox = Inbox(folder)
    found = senders(inbox, _now(), least_precision=least_precision)
    rows = [_sender_row(one, inbox.refused(one.partner)) for one in found]
    _print("Leads", (*SENDERS, WORDS_COLUMN), rows, output)


def _sender_row(one: "Sender", refused: dict[str, int]) -> list[Any]:
    return [
        one.partner,
        one.sender,
        one.indicators,
        one.values,
        round(one.record.precision, 3),
        one.record.right,
        one.record.wrong,
        "yes" if one.is_heard else "no",
        _day(one.last_received_at),
        _day(one.valid_until),
        {**one.left_out, **refused},
    ]


RECOGNISED = ("campaign of partner", "sender", "precision", "accounts", "in no campaign", "support", "first seen")


@share_app.command("recognised")
def share_recognised(folder: Folder, output: As = Format.table) -> None:
    """List the campaigns of partners that the last scan recognised here. It is a lead: nobody is accused by it.

    JSON has everything, with the accounts that bear each. Example: stillwatch share recognised out --format json
    """
    from stillwatch.store import json_text, read_recognised

    found = read_recognised(folder)
    if output is Format.json:
        typer.echo(json_text(found))
        return
    _print("Recognised", (*RECOGNISED, WORDS_COLUMN), [_recognised_row(one) for one in found], output)


def _recognised_row(one: dict[str, Any]) -> list[Any]:
    counts = (round(one["precision"], 3), len(one["account_ids"]), one["outside"])
    told = f"{one['because']} {one['innocent']}"
    return [one["campaign_ref"], one["sender"], *counts, one["support"], one["first_seen_at"][:16], told]


@share_app.command("feedback")
def share_feedback(
    folder: Folder,
    to: Annotated[
        str | None, typer.Option(help="Write what became of this partner's leads, for it, to a file.")
    ] = None,
    received: Annotated[bool, typer.Option("--received", help="List what partners said of ours instead.")] = False,
    approver: Approver = None,
    tlp: Tlp = None,
    recipients: People = None,
    form: Annotated[Form, typer.Option("--as", help="In what form to write it.")] = Form.stix,
    file: File = Path("feedback.json"),
    output: As = Format.table,
) -> None:
    """Take what the last scan found of leads into their senders' records, and say or send what became of them.

    With --to, what leaves passes the gate like any export. Example: stillwatch share feedback out --to north
    --approver "A. Analyst" --out feedback.json, then stillwatch share push out feedback.json --to north
    """
    from stillwatch.partners.feedback import learn, said
    from stillwatch.partners.inbox import Inbox
    from stillwatch.partners.leads import write_leads

    inbox = Inbox(folder)
    if received:
        if to is not None:
            raise SettingsError("--received lists what came in, --to writes what goes out: give one of the two")
        _print("Said of ours", SAID, [_said_row(one) for one in said(inbox)], output)
        return
    found = learn(inbox, now=_now())
    if inbox.partners():
        write_leads(inbox, _now())
    _print("Feedback", MATCHED, [_match_row(one) for one in found], output)
    if to is not None:
        _export_feedback(inbox.out, approver, sending_of(to, tlp, None, recipients, None), form, file)


SAID = ("partner", "indicator", "seen", "outcome", "opinion", "at")
MATCHED = ("lead", "sender", "campaign", "outcome", "accounts", "exchanges", "first seen", "last seen")


def _said_row(one: "Said") -> list[Any]:
    return [one.partner, one.indicator, one.count, one.outcome or "", one.opinion or "", _day(one.at)]


def _match_row(one: "Match") -> list[Any]:
    return [
        one.lead_id,
        one.sender,
        one.campaign_id or "",
        one.outcome or "open",
        one.accounts,
        one.exchanges,
        _day(one.first_seen_at),
        _day(one.last_seen_at),
    ]


def _export_feedback(folder: Path, approver: str | None, under: "Sending", form: Form, file: Path) -> None:
    """What became of the partner's leads, through the gate, with a record in the folder."""
    from stillwatch.partners.feedback import feedback
    from stillwatch.partners.inbox import Inbox
    from stillwatch.sharing.ledger import ledger

    with ledger(folder) as book:
        name = under.recipient.name
        would = feedback(Inbox(folder), name, under, before=book.held_by(name))
        let_go(would, book, "feedback", approver, file, form)


def _transfer() -> "ModuleType":
    """The client, where what it needs is installed."""
    try:
        from stillwatch.partners import transfer
    except ModuleNotFoundError as error:
        raise SettingsError(EXTRA) from error
    return transfer


def _peers(file: Path | None) -> "tuple[Peer, ...]":
    from stillwatch.partners.peers import read_peers
    from stillwatch.settings import key_path

    return read_peers(file or key_path().with_name("peers.toml"))


def _print(title: str, columns: tuple[str, ...], rows: list[list[Any]], output: Format) -> None:
    from stillwatch.store import json_text

    if output is Format.json:
        names = [column.replace(" ", "_") for column in columns]
        typer.echo(json_text([dict(zip(names, row, strict=True)) for row in rows]))
        return
    number = "{:,}" if output is Format.table else "{}"
    cells = [[_cell(cell, number) for cell in row] for row in rows]
    print_rows(title, columns, cells, output)


def _cell(cell: object, number: str) -> str:
    if isinstance(cell, dict):
        return "; ".join(f"{reason}: {number.format(count)}" for reason, count in sorted(cell.items()))
    return number.format(cell) if isinstance(cell, int | float) else str(cell)


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _now() -> datetime:
    return datetime.now(UTC)
