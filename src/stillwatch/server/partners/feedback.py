"""Feedback by itself: what became of partners' leads is proposed to them, and leaves once somebody answers for it.

1. Each partner that sent leads, and is a recipient with a collection, is told of its own leads alone.
2. What is proposed passes the gate. It waits for an approver as everything does, or has one by the settings, in whose
   name it leaves at once; the record says which.
3. A proposal that waits stays until it expires, or until an outcome in it is another one.
4. What left is in the partner's collection here. Where the peers file says so, it is added to one of the partner's own
   server as well; what fails is tried again at the next turn.

Why:    a sender can only do better when it is told, and what has to be done by hand is not done every day.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch import store
from stillwatch.errors import StillwatchError
from stillwatch.partners import Inbox, Peer
from stillwatch.partners.feedback import feedback
from stillwatch.partners.inbox import read_file
from stillwatch.partners.transfer import push
from stillwatch.server import audit
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.service import Service
from stillwatch.server.sharing import releases as kept
from stillwatch.server.sharing.bodies import Asked
from stillwatch.server.sharing.releases import Person
from stillwatch.server.tables import releases, sent_objects
from stillwatch.sharing.objects import measures

ACT: Final = "feedback"
PROPOSER: Final = "stillwatch"
ADDED: Final = "fed_back.json"  # up to which release each partner's own server has what left for it


def give_feedback(service: Service, peers: Sequence[Peer]) -> None:
    """Propose what became of each partner's leads, and add what left to the servers of partners that take it.

    Raises:
        StoreError: the inbox is damaged.
    """
    inbox = Inbox(output_folder(service.settings))
    told = kept.recipients_of(service.settings).by_name
    for name in inbox.partners():
        if name in told and told[name].collection is not None:
            with _reported(service, name):
                _propose(service, inbox, name)
    for peer in peers:
        if peer.push:
            with _reported(service, peer.name):
                _add(service, inbox, peer)


@contextmanager
def _reported(service: Service, name: str) -> Iterator[None]:
    """What goes wrong with one partner is reported, and the others have their turn."""
    try:
        yield
    except StillwatchError as error:
        service.log.warning("feedback_failed", peer=name, reason=str(error))
    except HTTPException as error:
        service.log.warning("feedback_failed", peer=name, reason=str(error.detail))


def _propose(service: Service, inbox: Inbox, name: str) -> None:
    by = Person(PROPOSER, service.now())
    under = kept.sending_of(service.settings, Asked(recipient=name), now=by.now)
    with service.database.read() as connection:
        held = kept.holdings(connection, name)
    would = feedback(inbox, name, under, before=held.objects)
    if not would.objects or would.differences.is_empty or would.too_large:
        return
    with service.database.write() as connection:
        audit.hold(connection)
        kept.refuse_change(connection, name, held)
        release_id = _waiting(connection, name, _outcomes(would.objects), by)
        if release_id is None:
            release_id = kept.keep_proposal(connection, under, would, act=ACT, by=by)
    approver = service.settings.partners.feedback_approver
    if approver:
        kept.approve(service.database, service.settings, release_id, by=Person(f"{approver}, by the settings", by.now))


def _waiting(connection: sa.Connection, recipient: str, outcomes: Mapping[str, Any], by: Person) -> str | None:
    """The proposal that waits and says the same; those that do not are withdrawn."""
    is_theirs = (releases.c.recipient == recipient) & (releases.c.act == ACT) & (releases.c.state == "proposed")
    same = None
    for row in connection.execute(sa.select(releases).where(is_theirs).order_by(releases.c.number)).mappings().all():
        if kept.is_open(dict(row), by.now) and _outcomes(json.loads(row["bundle"])["objects"]) == outcomes:
            same = row["release_id"]
        else:
            kept.withdraw(connection, row["release_id"], by=by)
    return same


def _outcomes(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {one["id"]: measures(one).get("outcome") for one in objects if one["type"] in ("sighting", "opinion")}


def _add(service: Service, inbox: Inbox, peer: Peer) -> None:
    reached = read_file(inbox.folder / ADDED)
    after = reached.get(peer.name, 0)
    with service.database.read() as connection:
        rows = list(_left(connection, peer.name, after))
    if not rows:
        return
    done = push(peer, [object_ for _, object_ in rows], wait=service.stopping.wait)
    service.log.info("feedback_added", peer=peer.name, count=done.taken, rejected=done.refused)
    store.write_json(inbox.folder / ADDED, {**reached, peer.name: max(number for number, _ in rows)})


def _left(connection: sa.Connection, recipient: str, after: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects that left as feedback in releases after that number, each with the number."""
    is_feedback = (releases.c.act == ACT) & (releases.c.state == "released") & (releases.c.number > after)
    joined = sa.select(sent_objects.c.number, sent_objects.c.document).join(releases)
    chosen = joined.where(is_feedback & (sent_objects.c.recipient == recipient)).order_by(sent_objects.c.object_id)
    for number, document in connection.execute(chosen):
        yield number, json.loads(document)
