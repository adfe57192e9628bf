"""Sharing groups on disk: one file for each, with its secrets by epoch and its members.

Why:    who holds a group's secret can match its values. A new epoch has a new secret, so that whoever left, or finds an
        old file, matches nothing that is sent from then on; old epochs stay, to match what was sent under them.
Misses: a member who left can go on confirming guesses at what was sent while it was one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stillwatch.errors import SettingsError, SharingError
from stillwatch.sharing.files import write_private
from stillwatch.sharing.keyed import SECRET_BYTES, GroupKey
from stillwatch.sharing.recipients import GROUP_ID

MOST_EPOCHS: Final = 1_000
MOST_MEMBERS: Final = 1_000
FINGERPRINT_DIGITS: Final = 20  # 80 bits: nobody makes another group with the same, and two people can read it out
_OTHERS_MAY_READ: Final = 0o077
_MEMBER = re.compile(r"identity--[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Epoch:
    """A secret and the half-open time in which it is sent under; no end yet is null."""

    number: int
    since: datetime
    until: datetime | None
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A sharing group: its id, who is a member (ids of identities), and its epochs, oldest first."""

    group_id: str
    members: tuple[str, ...]
    epochs: tuple[Epoch, ...]

    @property
    def fingerprint(self) -> str:
        """What two members read to each other to know that they hold the same secrets; it tells none of them."""
        held = hashlib.sha256(b"stillwatch sharing group\0" + self.group_id.encode())
        for epoch in self.epochs:
            held.update(b"\0" + str(epoch.number).encode() + b"\0" + epoch.secret)
        return held.hexdigest()[:FINGERPRINT_DIGITS]

    def key(self, epoch: Epoch) -> GroupKey:
        """The key of one epoch."""
        return GroupKey(self.group_id, epoch.number, epoch.secret)


def group(group_id: str, secret: bytes, *, since: datetime, members: Iterable[str] = ()) -> Group:
    """A new group with its first epoch.

    Raises:
        SharingError: the id is no id, the secret is none, or a member is no identity.
    """
    if not GROUP_ID.fullmatch(group_id):
        raise SharingError("The id of a group is a-z, 0-9 and dashes, at most 63 of them, and names no company.")
    return _checked(Group(group_id, _members(members), (Epoch(1, _utc(since), None, secret),)))


def rotated(held: Group, secret: bytes, *, since: datetime) -> Group:
    """The group with a new epoch from that moment on; the one before ends then.

    Raises:
        SharingError: the last epoch begins later than that, or the secret is an old one.
    """
    *earlier, last = held.epochs
    if _utc(since) <= last.since:
        raise SharingError(
            f"Epoch {last.number} of {held.group_id} begins on {last.since:%Y-%m-%d %H:%M}; rotate later."
        )
    if any(secret == epoch.secret for epoch in held.epochs):
        raise SharingError("A new epoch needs a new secret.")
    ended = replace(last, until=_utc(since))
    return _checked(replace(held, epochs=(*earlier, ended, Epoch(last.number + 1, _utc(since), None, secret))))


def with_members(held: Group, members: Iterable[str]) -> Group:
    """The group with members besides those it has.

    Raises:
        SharingError: one is no identity.
    """
    return _checked(replace(held, members=_members([*held.members, *members])))


def without_members(held: Group, members: Iterable[str], secret: bytes, *, since: datetime) -> Group:
    """The group without these members, and so with a new epoch.

    Raises:
        SharingError: one is no member.
    """
    gone = frozenset(members)
    if strangers := sorted(gone - set(held.members)):
        raise SharingError(f"{strangers[0][:60]!r} is no member of {held.group_id}. See `stillwatch share group list`.")
    left = tuple(member for member in held.members if member not in gone)
    return rotated(replace(held, members=left), secret, since=since)


def merged(mine: Group | None, theirs: Group) -> Group:
    """The group after an invitation: its members and every epoch of both.

    Raises:
        SharingError: the two have another secret for one epoch; then they are not one group.
    """
    if mine is None:
        return theirs
    known = {epoch.number: epoch for epoch in mine.epochs}
    for epoch in theirs.epochs:
        if epoch.number in known and known[epoch.number].secret != epoch.secret:
            raise SharingError(f"Epoch {epoch.number} of {mine.group_id} has another secret here: it is another group.")
    if max(known) > theirs.epochs[-1].number:
        raise SharingError(f"The invitation is older than what is here of {mine.group_id}. Ask for a new one.")
    both = known | {epoch.number: epoch for epoch in theirs.epochs}
    return _checked(replace(theirs, epochs=tuple(both[number] for number in sorted(both))))


def write_group(folder: Path, held: Group) -> None:
    """Keep the group; its file is its owner's alone.

    Raises:
        StoreError: it cannot be written.
    """
    write_private(folder / f"{held.group_id}.json", text_of(held).encode())


def read_group(folder: Path, group_id: str) -> Group:
    """The group as it is kept.

    Raises:
        SharingError: there is none.
        SettingsError: its file is damaged, or others may read it.
    """
    path = folder / f"{group_id}.json"
    if not GROUP_ID.fullmatch(group_id) or not path.is_file():
        raise SharingError(
            f"There is no sharing group {group_id[:63]!r} in {folder}. See `stillwatch share group list`."
        )
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise SettingsError(f"{path} can be read by others than its owner. Run chmod 600 on it, then rotate the group.")
    held = group_of(path.read_text(encoding="utf-8"), str(path))
    if held.group_id != group_id:
        raise SettingsError(f"{path} holds another group than its name says. Restore the file.")
    return held


def read_groups(folder: Path) -> list[Group]:
    """Every group that is kept, by id.

    Raises:
        SettingsError: a file is damaged, or others may read it.
    """
    return [read_group(folder, path.stem) for path in sorted(folder.glob("*.json"))]


def group_keys(folder: Path) -> Mapping[tuple[str, int], GroupKey]:
    """The key of every epoch of every group, for matching what was sent under it.

    Raises:
        SettingsError: a file is damaged, or others may read it.
    """
    return {(held.group_id, epoch.number): held.key(epoch) for held in read_groups(folder) for epoch in held.epochs}


def current(folder: Path, group_id: str, now: datetime) -> GroupKey:
    """The key to send under now.

    Raises:
        SharingError: there is no such group, or none of its epochs has begun.
    """
    held = read_group(folder, group_id)
    begun = [
        epoch for epoch in held.epochs if epoch.since <= _utc(now) and (not epoch.until or _utc(now) < epoch.until)
    ]
    if not begun:
        raise SharingError(f"No epoch of the sharing group {group_id} holds now. Rotate it, or wait for its first.")
    return held.key(begun[-1])


def text_of(held: Group) -> str:
    """The group as JSON, secrets and all."""
    epochs = [
        {
            "epoch": epoch.number,
            "from": epoch.since.isoformat(),
            "until": None if epoch.until is None else epoch.until.isoformat(),
            "secret": epoch.secret.hex(),
        }
        for epoch in held.epochs
    ]
    return json.dumps({"group_id": held.group_id, "members": list(held.members), "epochs": epochs}, indent=1) + "\n"


def group_of(text: str, where: str) -> Group:
    """The group that `text_of` wrote; `where` names it in errors, which hold nothing of it.

    Raises:
        SettingsError: it is none.
    """
    try:
        told = json.loads(text)
        epochs = tuple(_epochs(told["epochs"]))
        if set(told) != {"group_id", "members", "epochs"} or not GROUP_ID.fullmatch(told["group_id"]):
            raise ValueError("not a group")
        return _checked(Group(told["group_id"], _members(told["members"]), epochs))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, SharingError):
        # Without what was wrong: it could quote a secret.
        raise SettingsError(f"{where} is no sharing group, or damaged. Restore it, or import an invitation.") from None


def _epochs(told: list[dict[str, Any]]) -> Iterator[Epoch]:
    for row in told:
        since, until = datetime.fromisoformat(row["from"]), row["until"]
        if type(row["epoch"]) is not int or set(row) != {"epoch", "from", "until", "secret"}:
            raise ValueError("not an epoch")
        end = None if until is None else _utc(datetime.fromisoformat(until))
        yield Epoch(row["epoch"], _utc(since), end, bytes.fromhex(row["secret"]))


def _checked(held: Group) -> Group:
    numbers = [epoch.number for epoch in held.epochs]
    starts = [epoch.since for epoch in held.epochs]
    if not numbers or numbers[0] < 1 or numbers != sorted(set(numbers)) or len(numbers) > MOST_EPOCHS:
        raise SharingError("Epochs of a group have numbers from 1 on, each once, oldest first.")
    if starts != sorted(set(starts)):
        raise SharingError("Each epoch of a group begins after the one before.")
    if any(len(epoch.secret) != SECRET_BYTES for epoch in held.epochs):
        raise SharingError(f"The secret of a group is {SECRET_BYTES} bytes.")
    return held


def _members(told: Iterable[str]) -> tuple[str, ...]:
    members = sorted(set(told))
    if len(members) > MOST_MEMBERS:
        raise SharingError(f"A sharing group has {MOST_MEMBERS} members at most.")
    for member in members:
        if not _MEMBER.fullmatch(member):
            raise SharingError("A member is the id of its identity, as `stillwatch share identity` prints it there.")
    return tuple(members)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
