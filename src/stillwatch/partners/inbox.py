"""The inbox: what every partner sent, reduced and checked, the last version of each object, in files of a folder.

    DIR/partners/NAME/objects.jsonl     one line per version taken, the newest of an object counts; rewritten
                                        without what is outdated whenever it has doubled
    DIR/partners/NAME/sender.json       the identities whose objects are taken from this partner
    DIR/partners/NAME/bookmarks.json    up to which moment each collection was read
    DIR/partners/NAME/refused.json      why the newest thousand objects were refused, by their digests

A page is appended and on the disk before the bookmark moves, so that a crash loses at most a page that is fetched
again. Taking the same objects again changes nothing.

Why:    files need no service: a scan reads what a pull left. A partner has a folder of its own, so that none can
        replace or revoke what another sent.
Misses: a partner whose objects reach the limit is cut off until some of them expire; it harms nobody else.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from stillwatch import store
from stillwatch.errors import SharingError, StoreError
from stillwatch.locks import alone
from stillwatch.partners.moments import moment, written
from stillwatch.partners.patterns import RefusedError
from stillwatch.partners.peers import IDENTITY, NAME
from stillwatch.partners.received import OLDEST, Received, Standing, read_object

FOLDER: Final = "partners"
MOST_OBJECTS: Final = 50_000  # of one partner, those included of which only the id is remembered
MOST_VALUES: Final = 500_000  # of one partner's indicators together
MOST_SENDERS: Final = 32
MOST_REFUSED: Final = 1_000  # of one partner, told of by reason
_OBJECTS, _SENDER, _BOOKMARKS, _REFUSED = "objects.jsonl", "sender.json", "bookmarks.json", "refused.json"
LEAST_REWRITTEN_BYTES: Final = 16 << 20  # less is not worth rewriting


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of objects: new or newer ones kept, ones known already, ones of no use here, refusals by reason."""

    kept: int = 0
    known: int = 0
    unused: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Taken") -> "Taken":
        """Together. `Taken()` is the identity."""
        return Taken(
            self.kept + other.kept,
            self.known + other.known,
            self.unused + other.unused,
            dict(Counter(self.refused) + Counter(other.refused)),
        )


class Box:
    """One partner's part of the inbox, held by one process at a time."""

    def __init__(self, folder: Path, senders: Sequence[str], elsewhere: frozenset[str], groups: Sequence[str]) -> None:
        """`senders` are pinned by the operator; `elsewhere` are identities that other partners' objects bear."""
        self._folder, self._elsewhere, self._groups = folder, elsewhere, frozenset(groups)
        self._objects = _read_objects(folder / _OBJECTS)
        self._senders = tuple(senders) or _read_senders(folder)
        self._rewritten_bytes = 0  # of the file when it was last rewritten
        self._values = sum(map(_value_count, self._objects.values()))

    @property
    def objects(self) -> Mapping[str, Received]:
        """The newest version of every object, by id."""
        return self._objects

    @property
    def senders(self) -> tuple[str, ...]:
        """The identities whose objects are taken; empty before the first when none is pinned."""
        return self._senders

    def take(self, objects: Iterable[object], *, now: datetime) -> Taken:
        """Check the objects and keep what is new, on the disk when this returns.

        Raises:
            StoreError: it cannot be written.
        """
        counts: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        digests: dict[str, str] = {}
        lines = []
        for object_ in objects:
            try:
                received = read_object(object_, now=now)
                if received is None:
                    counts["unused"] += 1
                elif self._keep(received):
                    lines.append(_line(received))
                    counts["kept"] += 1
                else:
                    counts["known"] += 1
            except RefusedError as error:
                refused[str(error)] += 1
                digests[_digest(object_)] = str(error)
        if lines:
            _append(self._folder / _OBJECTS, lines)
            self._compact(now)
        if digests:
            self._note(digests)
        return Taken(**counts, refused=dict(refused))

    def bookmark(self, collection: str) -> datetime | None:
        """Up to which moment a collection was read; null before the first time."""
        return moment(read_file(self._folder / _BOOKMARKS).get(collection))

    def move_bookmark(self, collection: str, at: datetime) -> None:
        """Remember up to which moment a collection was read."""
        marks = read_file(self._folder / _BOOKMARKS)
        if marks.get(collection) != written(at):
            store.write_json(self._folder / _BOOKMARKS, {**marks, collection: written(at)})

    def _compact(self, now: datetime) -> None:
        """Rewrite the file without what is outdated, once it is large and has doubled."""
        path = self._folder / _OBJECTS
        if path.stat().st_size < max(LEAST_REWRITTEN_BYTES, 2 * self._rewritten_bytes):
            return
        self._objects = {
            received.object_id: replace(received, body={}) if _is_over(received, now) else received
            for received in self._objects.values()
            if received.modified_at > now - OLDEST  # an older version of it is refused for its age
        }
        self._values = sum(map(_value_count, self._objects.values()))
        store.write_text(path, "".join(map(_line, self._objects.values())))
        self._rewritten_bytes = path.stat().st_size

    def _keep(self, received: Received) -> bool:
        """Whether it is new here; then it counts from now on.

        Raises:
            RefusedError: it is not this partner's to send, or there is no room.
        """
        self._check_sender(received.made_by)
        self._check_group(received)
        older = self._objects.get(received.object_id)
        if older is not None and not received.replaces(older):
            return False
        if older is not None and received.made_by != older.made_by:
            raise RefusedError("another identity made the object first")
        growth = _value_count(received) - (0 if older is None else _value_count(older))
        if (older is None and len(self._objects) >= MOST_OBJECTS) or self._values + growth > MOST_VALUES:
            raise RefusedError("this partner has sent as much as is kept")
        first_at = received.received_at if older is None else older.received_at
        self._values += growth
        self._objects[received.object_id] = replace(received, received_at=first_at)
        return True

    def _check_sender(self, made_by: str) -> None:
        if not self._senders and made_by not in self._elsewhere:
            self._senders = (made_by,)
            store.write_json(self._folder / _SENDER, {"senders": [made_by]})
        if made_by not in self._senders:
            raise RefusedError("somebody else made it than this partner")

    def _check_group(self, received: Received) -> None:
        group_id = received.body.get("group_id")
        if self._groups and group_id is not None and group_id not in self._groups:
            raise RefusedError("it is under the key of a group that this partner is no member of")

    def _note(self, digests: Mapping[str, str]) -> None:
        """Remember why, once for each object however often it comes."""
        earlier = read_file(self._folder / _REFUSED)
        every = list({**earlier, **digests}.items())
        if every != list(earlier.items()):
            store.write_json(self._folder / _REFUSED, dict(every[-MOST_REFUSED:]))


@dataclass(frozen=True, slots=True)
class Inbox:
    """The inbox of an output or a state folder."""

    out: Path

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.out / FOLDER

    def partners(self) -> list[str]:
        """Names of the partners something came from."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and NAME.fullmatch(path.name))

    @contextmanager
    def opened(
        self,
        name: str,
        senders: Sequence[str] = (),
        *,
        not_theirs: Iterable[str] = (),
        groups: Sequence[str] = (),
    ) -> Iterator[Box]:
        """One partner's box, to put something into it.

        `senders` are the identities that the operator pinned to it, `not_theirs` those pinned to others; `groups` are
        the sharing groups it is a member of, any when there are none.

        Raises:
            StoreError: another process holds it, or it cannot be read or written.
            SharingError: the name is none, or a pinned identity is known as another partner's.
        """
        if not NAME.fullmatch(name) or len(senders) > MOST_SENDERS:
            raise SharingError("a partner's name is of small letters, digits, - . and _, and has few identities")
        folder = self.folder / name
        elsewhere = frozenset(sender for other in self.partners() if other != name for sender in self.senders(other))
        if taken := elsewhere & set(senders):
            raise SharingError(f"{name}: {min(taken)} is the identity of another partner here. Pin each one's own.")
        with _held(folder):
            if senders and tuple(senders) != _read_senders(folder):
                store.write_json(folder / _SENDER, {"senders": list(senders)})
            yield Box(folder, senders, elsewhere | frozenset(not_theirs), groups)

    def objects(self, name: str) -> dict[str, Received]:
        """The newest version of every object of a partner, made by an identity that is pinned to it now.

        Raises:
            StoreError: the file is damaged.
        """
        senders = self.senders(name)
        held = _read_objects(self.folder / name / _OBJECTS)
        return {object_id: received for object_id, received in held.items() if received.made_by in senders}

    def senders(self, name: str) -> tuple[str, ...]:
        """The identities whose objects are taken from a partner."""
        return _read_senders(self.folder / name)

    def refused(self, name: str) -> dict[str, int]:
        """How many of a partner's objects were refused, by reason: of the newest thousand."""
        return dict(Counter(read_file(self.folder / name / _REFUSED).values()))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    advice, busy = " Choose another folder.", f"another process is taking in objects at {folder}. Wait for it."
    with alone(folder / ".lock", busy=busy, advice=advice, makes_folder=True):
        yield


def _append(path: Path, lines: Sequence[str]) -> None:
    """Add lines and see them to the disk; what a crash left of a line is cut off first."""
    with path.open("ab") as file:
        size = file.tell()
        if size:
            file.truncate(_whole(path, size))
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path, size: int) -> int:
    """Length of the file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = size
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _line(received: Received) -> str:
    row = {
        "id": received.object_id,
        "by": received.made_by,
        "modified": written(received.modified_at),
        "received": written(received.received_at),
        "standing": received.standing.value,
        "body": dict(received.body),
    }
    return json.dumps(row) + "\n"


def _read_objects(path: Path) -> dict[str, Received]:
    """Every object's newest version; the rest of a line that a crash left is no line."""
    found: dict[str, Received] = {}
    if not path.exists():
        return found
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                received = _row(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{path}, line {number} is damaged. Remove the line, or the file, and pull again."
                ) from error
            found[received.object_id] = received
    return found


def _row(row: Mapping[str, Any]) -> Received:
    modified_at, received_at = moment(row["modified"]), moment(row["received"])
    if modified_at is None or received_at is None:
        raise ValueError("no moment")
    return Received(row["id"], row["by"], modified_at, received_at, Standing(row["standing"]), row["body"])


def read_file(path: Path) -> dict[str, Any]:
    """What a small file of the inbox holds; nothing when there is none.

    Raises:
        StoreError: it is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise StoreError(f"{path} is damaged. Remove it and pull again.") from error
    return value if isinstance(value, dict) else {}


def _read_senders(folder: Path) -> tuple[str, ...]:
    told = read_file(folder / _SENDER).get("senders", [])
    return tuple(one for one in told if isinstance(one, str) and IDENTITY.fullmatch(one))


def _digest(object_: object) -> str:
    try:
        return hashlib.sha256(json.dumps(object_, sort_keys=True).encode()).hexdigest()[:32]
    except (RecursionError, TypeError):  # nested too deeply to be written again
        return "too deep"


def _value_count(received: Received) -> int:
    return len(received.body.get("values", ()))


def _is_over(received: Received, now: datetime) -> bool:
    until = moment(received.body.get("valid_until"))
    return until is not None and until <= now
