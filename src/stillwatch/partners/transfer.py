"""Pulling what partners offer into the inbox, and pushing what may leave to them.

1. Each collection is read from its bookmark on, a few seconds earlier: a server may add two objects in another order
   than their moments say.
2. A page is kept before the next is asked for.
3. The bookmark moves to the last moment of a page once the next one begins later, or there is none: objects of one
   moment may lie on both sides of the border.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from stillwatch.errors import SettingsError, SharingError
from stillwatch.partners.inbox import Box, Inbox, Taken
from stillwatch.partners.logins import login
from stillwatch.partners.peers import Peer, senders_of_others
from stillwatch.partners.taxii import Added, Taxii
from stillwatch.partners.wire import Wire

OVERLAP: Final = timedelta(seconds=5)
MOST_PULL_S: Final = 900.0  # one partner must not keep the others waiting

Wait = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull from one partner brought, and what went wrong, if anything did; what came before that is kept."""

    peer: str
    taken: Taken
    fault: str | None = None


def pull(
    inbox: Inbox,
    peers: Sequence[Peer],
    *,
    now: Callable[[], datetime],
    wait: Wait = time.sleep,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Pulled]:
    """Pull from every partner that has something to pull from; one that fails does not stop the others.

    Raises:
        SettingsError: a login or a certificate cannot be used.
        StoreError: the inbox cannot be read or written.
    """
    asked = [peer for peer in peers if peer.pull]
    logins = {peer.name: login(peer.credentials, f"peer {peer.name}") for peer in asked}  # all, before the first
    done = []
    for number, peer in enumerate(asked):
        on_progress("pull", number, len(asked))
        with (
            inbox.opened(peer.name, peer.senders, not_theirs=senders_of_others(peers, peer), groups=peer.groups) as box,
            Wire(peer.url, logins[peer.name], ca=peer.ca, wait=wait) as wire,
        ):
            done.append(_pulled(box, Taxii(wire, peer.url), peer, now))
    on_progress("pull", len(asked), len(asked))
    return done


def _pulled(box: Box, taxii: Taxii, peer: Peer, now: Callable[[], datetime]) -> Pulled:
    taken = Taken()
    try:
        for page in _pages(box, taxii, peer, now):
            taken += page
    except SharingError as error:
        return Pulled(peer.name, taken, str(error))
    return Pulled(peer.name, taken)


def _pages(box: Box, taxii: Taxii, peer: Peer, now: Callable[[], datetime]) -> Iterator[Taken]:
    """What became of each page of each collection."""
    until = time.monotonic() + MOST_PULL_S
    for name in peer.pull:
        collection = taxii.collection_id(name)
        mark = box.bookmark(collection)
        reached: datetime | None = None
        for page in taxii.pages(collection, added_after=None if mark is None else mark - OVERLAP):
            if reached is not None and page.first_added is not None and page.first_added > reached:
                box.move_bookmark(collection, reached)
            yield box.take(page.objects, now=now())
            if page.last_added is not None:
                reached = min(page.last_added, now())  # a clock that is ahead must not hide what comes after
            if time.monotonic() > until and not page.is_last:
                raise SharingError(f"{peer.name} was not done after {MOST_PULL_S:g} seconds. Pull again to go on.")
        if reached is not None and (mark is None or reached > mark):
            box.move_bookmark(collection, reached)


def push(peer: Peer, objects: Sequence[dict[str, Any]], *, wait: Wait = time.sleep) -> Added:
    """Add objects to the partner's collection. Whether they may leave was decided before.

    Raises:
        SettingsError: there is no collection to push to, or a login or a certificate cannot be used.
        SharingError: the partner's server does not take them.
    """
    if not peer.push:
        raise SettingsError(f'the peers file names no collection to push to at {peer.name}. Write push = "NAME".')
    sent = [
        object_
        for object_ in objects
        if peer.takes_extension_definitions or object_.get("type") != "extension-definition"
    ]
    with Wire(peer.url, login(peer.credentials, f"peer {peer.name}"), ca=peer.ca, wait=wait) as wire:
        taxii = Taxii(wire, peer.url)
        return taxii.add(taxii.collection_id(peer.push), sent)
