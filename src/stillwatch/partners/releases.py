"""Whether a bundle is one that the gate released for this recipient: its bytes are on record, or it is not pushed.

Why:    a file says nothing about who approved it, and for whom. The ledger of the folder it was exported from does.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from stillwatch.errors import InputError, SharingError

LEDGER: Final = "sent.jsonl"


def released_objects(folder: Path, bundle: Path, recipient: str) -> list[dict[str, Any]]:
    """The objects of a bundle that was exported from the folder for the recipient.

    Raises:
        InputError: the file cannot be read, or is no bundle.
        SharingError: no record of the folder tells of these bytes and this recipient.
    """
    try:
        raw = bundle.read_bytes()
        told = json.loads(raw)
        objects = told["objects"] if told["type"] == "bundle" else None
    except OSError as error:
        raise InputError(f"cannot read {bundle}: {error.strerror}. Write it with `stillwatch share export`.") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        objects = None
    if not isinstance(objects, list) or not all(isinstance(object_, dict) for object_ in objects):
        raise InputError(f"{bundle} is no STIX bundle. Write one with `stillwatch share export`.")
    digest = hashlib.sha256(raw).hexdigest()
    if not any(row.get("digest") == digest and row.get("recipient") == recipient for row in _records(folder)):
        raise SharingError(
            f"{bundle} was not released for {recipient} from {folder}. Nothing was sent; write it with "
            f"`stillwatch share export {folder} --to {recipient}`."
        )
    return objects


def _records(folder: Path) -> list[dict[str, Any]]:
    path = folder / LEDGER
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SharingError(f"{path}, line {number} is no record: the file was changed or cut.") from error
        if isinstance(row, dict):
            rows.append(row)
    return rows
