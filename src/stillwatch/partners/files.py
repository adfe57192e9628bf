"""Files that partners hand over: bundles, MISP events and tables, taken in under the same checks as a pull.

Why:    many who could share have neither a server nor a client.
Misses: who really sent a file. The operator names the partner; only its own identities' objects are taken.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from stillwatch.errors import InputError, SettingsError
from stillwatch.partners.inbox import Inbox, Taken
from stillwatch.partners.peers import Peer, senders_of_others
from stillwatch.sharing.formats import FORMATS

MOST_FILE_BYTES = 64 << 20


def receive(inbox: Inbox, peer: Peer, peers: Sequence[Peer], file: Path, form: str, *, now: datetime) -> Taken:
    """Take in the objects of a file that the peer handed over; what became of them.

    Raises:
        SettingsError: there is no such format, or nothing can be read from it.
        InputError: the file cannot be read, or is too long.
        SharingError: it is not in that format.
        StoreError: the inbox cannot be read or written.
    """
    readable = {name: known.read for name, known in FORMATS.items() if known.read is not None}
    if form not in readable:
        raise SettingsError(f"--as {form}: give one of {', '.join(readable)}")
    objects = readable[form](_text(file))
    with inbox.opened(peer.name, peer.senders, not_theirs=senders_of_others(peers, peer), groups=peer.groups) as box:
        return box.take(objects, now=now)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as held:
            raw = held.read(MOST_FILE_BYTES + 1)
        if len(raw) > MOST_FILE_BYTES:
            raise InputError(f"{file} is longer than {MOST_FILE_BYTES >> 20} MiB. Ask for it in parts.")
        return raw.decode()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}. Check the path and who may read it.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no UTF-8. Ask the sender for it again.") from error
