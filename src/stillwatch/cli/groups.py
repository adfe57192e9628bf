"""Commands of sharing groups: make one, rotate its key, say who is in it, hand its key to another member."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillwatch.cli.output import As, Format, in_utc, print_rows, say
from stillwatch.cli.share import GroupsFolder, share_app
from stillwatch.errors import SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    from stillwatch.sharing.groups import Group

EXTRA = "this needs PyNaCl, which is not installed: pip install 'stillwatch[sharing]'"

group_app = typer.Typer(help="Groups of providers that match under a common key.", no_args_is_help=True)
share_app.add_typer(group_app, name="group")

GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="Id of the sharing group; it names no company.")]
Since = Annotated[datetime | None, typer.Option(help="When the epoch begins (UTC); now when left out.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the passphrase.", exists=True, dir_okay=False)
]


@share_app.command("identity")
def share_identity() -> None:
    """Print this deployment's identity and the public key that invitations to it are locked for.

    Example: stillwatch share identity
    """
    from stillwatch.ingest import Key
    from stillwatch.settings import key_path, key_secret
    from stillwatch.sharing.objects import producer

    invitations = _invitations()
    key_id = Key(key_secret(key_path())).key_id
    typer.echo(f"identity   {producer(key_id)['id']}")
    typer.echo(f"public key {invitations.public_text(invitations.own_key(_key_file()))}")


@group_app.command("new")
def group_new(group_id: GroupId, groups: GroupsFolder = None, since: Since = None) -> None:
    """Make a sharing group with a key of its own; export it to other members.

    Example: stillwatch share group new g-frontier
    """
    from stillwatch.sharing.groups import group, write_group

    folder = _folder(groups)
    if (folder / f"{group_id}.json").exists():
        raise SettingsError(f"{group_id} exists. Rotate it, or choose another id.")
    made = group(group_id, _secret(), since=in_utc(since) or datetime.now(UTC))
    write_group(folder, made)
    _say_group(made)


@group_app.command("rotate")
def group_rotate(group_id: GroupId, groups: GroupsFolder = None, since: Since = None) -> None:
    """Begin a new epoch with a new key; old keys stay, to match what was sent under them. Export it again.

    Example: stillwatch share group rotate g-frontier
    """
    from stillwatch.sharing.groups import read_group, rotated, write_group

    folder = _folder(groups)
    after = rotated(read_group(folder, group_id), _secret(), since=in_utc(since) or datetime.now(UTC))
    write_group(folder, after)
    _say_group(after)


@group_app.command("members")
def group_members(
    group_id: GroupId,
    add: Annotated[list[str] | None, typer.Option(metavar="IDENTITY", help="Member to add; may be repeated.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="IDENTITY", help="Member to remove; this rotates the key.")
    ] = None,
    groups: GroupsFolder = None,
) -> None:
    """List the members of a group; add some, or remove some and rotate its key.

    Example: stillwatch share group members g-frontier --remove identity--0f3c9a11-55aa-57cc-8a11-000000000001
    """
    from stillwatch.sharing.groups import read_group, with_members, without_members, write_group

    folder = _folder(groups)
    held = read_group(folder, group_id)
    after = with_members(held, add or ())
    if remove:
        after = without_members(after, remove, _secret(), since=datetime.now(UTC))
    if after != held:
        write_group(folder, after)
        _say_group(after)
    for member in after.members:
        typer.echo(member)


@group_app.command("export")
def group_export(
    group_id: GroupId,
    out: Annotated[Path, typer.Option(help="File to write.", dir_okay=False)],
    public_key: Annotated[
        str | None, typer.Option(help="Lock it for the deployment whose `share identity` prints this.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    groups: GroupsFolder = None,
) -> None:
    """Write an invitation: the group's keys, locked for a deployment or with a passphrase.

    Example: stillwatch share group export g-frontier --passphrase-file words.txt --out invitation.json
    """
    from stillwatch.sharing.files import write_private
    from stillwatch.sharing.groups import read_group

    invitations = _invitations()
    held = read_group(_folder(groups), group_id)
    if public_key is not None and passphrase_file is not None:
        raise SettingsError("give --public-key or --passphrase-file, not both")
    if public_key is not None:
        text = invitations.sealed(held, public_key)
    else:
        text = invitations.locked(held, _passphrase(passphrase_file, is_new=True))
    write_private(out, text.encode())
    say(f"{out}: an invitation to {group_id}. Tell its reader the fingerprint over another way:")
    typer.echo(held.fingerprint)


@group_app.command("import")
def group_import(
    file: Annotated[Path, typer.Argument(help="An invitation.", exists=True, dir_okay=False)],
    fingerprint: Annotated[
        str | None, typer.Option(help="What whoever made it has told you over another way; asked for first.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    groups: GroupsFolder = None,
) -> None:
    """Take in the keys of an invitation, once its fingerprint is the one its maker tells.

    Example: stillwatch share group import invitation.json --fingerprint 0f3c9a1155aa77cc0f3c
    """
    import hmac

    from stillwatch.sharing.groups import merged, read_group, write_group

    invitations = _invitations()
    text = _read(file)
    if invitations.is_for_passphrase(text):
        theirs = invitations.opened(text, passphrase=_passphrase(passphrase_file, is_new=False))
    else:
        theirs = invitations.opened(text, key=invitations.own_key(_key_file()))
    if fingerprint is None or not hmac.compare_digest(
        fingerprint.strip().lower().encode(), theirs.fingerprint.encode()
    ):
        told = "is not that" if fingerprint is not None else "has to be confirmed"
        raise SettingsError(
            f"nothing was taken in: the fingerprint of {theirs.group_id} {told}. Anybody can lock a file for you, so"
            f" ask its maker over another way, and give --fingerprint {theirs.fingerprint} if it is the same"
        )
    folder = _folder(groups)
    known = (folder / f"{theirs.group_id}.json").exists()
    after = merged(read_group(folder, theirs.group_id) if known else None, theirs)
    write_group(folder, after)
    _say_group(after)


@group_app.command("list")
def group_list(groups: GroupsFolder = None, output: As = Format.table) -> None:
    """List sharing groups: members, epochs, from when the newest holds, fingerprint. Never a key.

    Example: stillwatch share group list
    """
    from stillwatch.sharing.groups import read_groups
    from stillwatch.store import json_text

    rows = [
        {
            "group": held.group_id,
            "members": len(held.members),
            "epochs": len(held.epochs),
            "newest_since": held.epochs[-1].since.isoformat(),
            "fingerprint": held.fingerprint,
        }
        for held in read_groups(_folder(groups))
    ]
    if output is Format.json:
        typer.echo(json_text(rows))
        return
    columns = ("group", "members", "epochs", "newest_since", "fingerprint")
    cells = [[str(row[name]) for name in columns] for row in rows]
    print_rows("Sharing groups", [name.replace("_", " ") for name in columns], cells, output)


def _say_group(held: "Group") -> None:
    newest = held.epochs[-1]
    say(f"{held.group_id}: epoch {newest.number} from {newest.since:%Y-%m-%d %H:%M} UTC, {len(held.members)} members.")


def _folder(groups: Path | None) -> Path:
    from stillwatch.settings import groups_path

    return groups or groups_path()


def _key_file() -> Path:
    from stillwatch.settings import key_path

    return key_path().with_name("sharing-key")


def _secret() -> bytes:
    from stillwatch.sharing.keyed import SECRET_BYTES

    return secrets.token_bytes(SECRET_BYTES)


def _passphrase(path: Path | None, *, is_new: bool) -> str:
    if path is None:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True))
    return (_read(path).splitlines() or [""])[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path} as text. Give another file.") from error


def _invitations() -> "ModuleType":
    try:
        from stillwatch.sharing import invitations
    except ImportError as error:
        raise SettingsError(EXTRA) from error
    return invitations
