"""What was sent to whom: a file of records, each chained to the one before, and what each recipient holds.

    sent.jsonl          one record a line: who, for whom, ids, marking, digest of the bytes; never contents
    sent/RECIPIENT.json the objects a recipient holds, so that the next time only what is new has to be looked at

Why:    what left cannot be called back, so it must be known, and nobody may quietly rewrite it.
Misses: whoever can write the file can rewrite all of it, or cut its end off; keep the newest hash somewhere else.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stillwatch.errors import SharingError, StoreError
from stillwatch.locks import alone
from stillwatch.sharing.files import write_private

FIRST: Final = "0" * 64  # the hash before the first line
SENT, HELD = "sent.jsonl", "sent"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one folder, held against others who would write to it."""

    folder: Path

    def held_by(self, recipient: str) -> dict[str, dict[str, Any]]:
        """What the recipient was sent, the newest version of each object, by id.

        Raises:
            StoreError: the file is damaged.
        """
        path = self._path(recipient)
        if not path.is_file():
            return {}
        try:
            told = json.loads(path.read_bytes())
            return {object_["id"]: object_ for object_ in told}
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{path} is damaged. Restore it; without it, what was sent cannot be taken back."
            ) from error

    def append(self, act: str, record: Mapping[str, Any], held: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Add a record, and what its recipient holds from now on; the line as it was written.

        Raises:
            StoreError: it cannot be written.
        """
        contents = json.dumps(list(held.values())).encode()
        lines = self._lines()
        row = {
            "sequence": len(lines) + 1,
            "act": act,
            **record,
            "holds_digest": hashlib.sha256(contents).hexdigest(),
            "previous_hash": json.loads(lines[-1])["hash"] if lines else FIRST,
        }
        row["hash"] = _hash(row)
        # The record first: what was not written down is not sent.
        write_private(self.folder / SENT, "".join(f"{line}\n" for line in [*lines, json.dumps(row)]).encode())
        write_private(self._path(str(record["recipient"])), contents)
        return row

    def records(self) -> list[dict[str, Any]]:
        """Every record, oldest first.

        Raises:
            StoreError: a line cannot be read.
        """
        rows = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise StoreError(f"{self.folder / SENT}, line {number} is no record: the file was changed or cut.")
            rows.append(row)
        return rows

    def _path(self, recipient: str) -> Path:
        return self.folder / HELD / f"{recipient}.json"

    def _lines(self) -> list[str]:
        path = self.folder / SENT
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


@contextmanager
def ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger of the folder, with nobody else writing to it meanwhile.

    Raises:
        StoreError: somebody else holds it, or the folder cannot be written.
    """
    with alone(folder / ".sent.lock", busy=f"somebody else is sharing from {folder}. Wait for it."):
        yield Ledger(folder)


def check(held: Ledger, newest: str | None = None) -> None:
    """Refuse a ledger that was changed: each line follows from the one before, and files hold what lines say.

    `newest` is a hash that was kept somewhere else: it must still be in the chain.

    Raises:
        SharingError: naming the line or the file.
        StoreError: a line cannot be read.
    """
    previous, rows = FIRST, held.records()
    for number, row in enumerate(rows, start=1):
        if row.get("sequence") != number or row.get("previous_hash") != previous or row.get("hash") != _hash(row):
            raise SharingError(f"{SENT}, line {number}: it does not follow from the line before: the file was changed.")
        previous = row["hash"]
    if newest is not None and newest not in (FIRST, *(row["hash"] for row in rows)):
        raise SharingError(f"{SENT} does not hold the hash you kept: its end was cut off, or it was written anew.")
    for recipient, row in {row["recipient"]: row for row in rows}.items():
        path = held.folder / HELD / f"{recipient}.json"
        contents = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(contents).hexdigest() != row["holds_digest"]:
            raise SharingError(f"{HELD}/{path.name} is not what line {row['sequence']} of {SENT} says: it was changed.")


def _hash(row: Mapping[str, Any]) -> str:
    told = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
