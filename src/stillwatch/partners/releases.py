"""Whether a bundle is one that the gate released for this recipient: its bytes are on record, or it is not pushed.

Why:    a file says nothing about who approved it, and for whom. The ledger of the folder it was exported from does.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from stillwatch.errors import InputError, SharingError
from stillwatch.sharing.ledger import Ledger, check


def released_objects(folder: Path, bundle: Path, recipient: str) -> list[dict[str, Any]]:
    """The objects of a bundle that was exported from the folder for the recipient.

    Raises:
        InputError: the file cannot be read, or is no bundle.
        SharingError: no record of the folder tells of these bytes and this recipient, or the records were changed.
        StoreError: a record cannot be read.
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
    book = Ledger(folder)
    check(book)
    digest = hashlib.sha256(raw).hexdigest()
    if not any(row["digest"] == digest and row["recipient"] == recipient for row in book.records()):
        raise SharingError(
            f"{bundle} was not released for {recipient} from {folder}. Nothing was sent; write it with "
            f"`stillwatch share export {folder} --to {recipient}`."
        )
    return objects
