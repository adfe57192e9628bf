"""What partners posted to our TAXII server, taken into the inbox in the order in which it came.

1. Rows are read on from the number that was reached, some at a time, and sorted by who sent them.
2. They are on the disk of the inbox before the number moves; what is read twice changes nothing.
3. A partner's objects are held against its identity: the peers file's, else the one it was added with.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from stillwatch import store
from stillwatch.errors import SharingError, StoreError
from stillwatch.partners import Inbox, Peer
from stillwatch.partners.inbox import Taken, read_file
from stillwatch.partners.peers import NAME
from stillwatch.server.database import Database
from stillwatch.server.tables import partners
from stillwatch.server.taxii import received

POSTED: Final = "posted.json"  # up to which number what was posted is in the inbox
MOST_TURNS: Final = 100  # of a thousand objects each, before others have their turn


def take_posted(database: Database, inbox: Inbox, peers: Sequence[Peer], *, now: datetime) -> dict[str, Taken]:
    """Take in what partners posted since the last time; what became of it, by partner.

    Raises:
        StoreError: the inbox cannot be read or written, or another process holds a part of it.
    """
    done: dict[str, Taken] = {}
    pinned = {peer.name: peer.senders for peer in peers}
    with database.read() as connection:
        known = connection.execute(sa.select(partners.c.partner_id, partners.c.identity_ref)).all()
    senders = {name: pinned.get(name) or ((identity,) if identity else ()) for name, identity in known}
    after = _reached(inbox)
    for _ in range(MOST_TURNS):
        with database.read() as connection:
            rows = received(connection, after)
        if not rows:
            break
        by_partner: dict[str, list[object]] = {}
        for row in rows:
            by_partner.setdefault(row.partner_id, []).append(row.object_)
        for name, objects in by_partner.items():
            if NAME.fullmatch(name) and name in senders:  # nobody vouches for what a partner sent that is none any more
                done[name] = done.get(name, Taken()) + _taken(inbox, name, objects, senders, now)
        after = rows[-1].number
        inbox.folder.mkdir(parents=True, exist_ok=True)
        store.write_json(inbox.folder / POSTED, {"number": after})
    return done


def _taken(
    inbox: Inbox, name: str, objects: Sequence[object], senders: Mapping[str, tuple[str, ...]], now: datetime
) -> Taken:
    others = [sender for other, theirs in senders.items() if other != name for sender in theirs]
    try:
        with inbox.opened(name, senders[name], not_theirs=others) as box:
            return box.take(objects, now=now)
    except SharingError:
        return Taken(refused={"its identity is another partner's": len(objects)})


def _reached(inbox: Inbox) -> int:
    told = read_file(inbox.folder / POSTED).get("number", 0)
    if not isinstance(told, int) or isinstance(told, bool):
        raise StoreError(f"{inbox.folder / POSTED} is damaged. Remove it: what was posted is then read again.")
    return told
