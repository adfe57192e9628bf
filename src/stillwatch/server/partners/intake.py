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
    posting = _posting(database, peers)
    pinned = {sender: peer.name for peer in (*posting.values(), *peers) for sender in peer.senders}
    after = _reached(inbox)
    for _ in range(MOST_TURNS):
        with database.read() as connection:
            rows = received(connection, after)
        if not rows:
            break
        by_partner: dict[str, list[object]] = {}
        for row in rows:
            by_partner.setdefault(row.partner_id, []).append(row.object_)
        for name in by_partner.keys() & posting.keys():  # nobody vouches for what a partner sent that is none any more
            done[name] = done.get(name, Taken()) + _taken(inbox, posting[name], by_partner[name], pinned, now)
        after = rows[-1].number
        inbox.folder.mkdir(parents=True, exist_ok=True)
        store.write_json(inbox.folder / POSTED, {"number": after})
    return done


def _posting(database: Database, peers: Sequence[Peer]) -> dict[str, Peer]:
    """Who may post: every partner, as the peers file tells of the peer of its name, else as it was added."""
    told = {peer.name: peer for peer in peers}
    with database.read() as connection:
        rows = connection.execute(sa.select(partners.c.partner_id, partners.c.identity_ref, partners.c.groups)).all()
    found = {}
    for name, identity, groups in rows:
        peer = told.get(name, Peer(name))
        senders = peer.senders or ((identity,) if identity else ())
        found[name] = Peer(name, senders=senders, groups=peer.groups or tuple(groups))
    return {name: peer for name, peer in found.items() if NAME.fullmatch(name)}


def _taken(inbox: Inbox, peer: Peer, objects: Sequence[object], pinned: Mapping[str, str], now: datetime) -> Taken:
    others = [sender for sender, name in pinned.items() if name != peer.name]
    try:
        with inbox.opened(peer.name, peer.senders, not_theirs=others, groups=peer.groups) as box:
            return box.take(objects, now=now)
    except SharingError:
        return Taken(refused={"its identity is another partner's": len(objects)})


def _reached(inbox: Inbox) -> int:
    told = read_file(inbox.folder / POSTED).get("number", 0)
    if not isinstance(told, int) or isinstance(told, bool):
        raise StoreError(f"{inbox.folder / POSTED} is damaged. Remove it: what was posted is then read again.")
    return told
