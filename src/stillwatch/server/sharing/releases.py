"""Releases: proposed by one person, approved by another, and what each recipient holds.

1. A proposal keeps exactly what passed the gate for its recipient at that moment.
2. An approval asks the gate again, about that, with what the recipient may see and holds by then; and the newest
   detection, whether it still finds the campaigns. Whatever differs needs a new proposal.
3. Objects, record, audit and what the recipient holds change in one transaction.
"""

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch import store
from stillwatch.partners.aliases import read_aliases, sent_aliases
from stillwatch.partners.outbound import (
    Sending,
    campaign_id_of,
    outbound,
    read_recipients,
    recipients_path,
    sending,
    taken_back,
    through_gate,
)
from stillwatch.server import audit
from stillwatch.server.database import Database
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.settings import ServerSettings
from stillwatch.server.sharing.bodies import Asked
from stillwatch.server.sharing.taken import taken
from stillwatch.server.tables import releases, sent_objects, taxii_collections, taxii_rights
from stillwatch.server.taxii.collections import id_of
from stillwatch.server.taxii.publishing import publish
from stillwatch.settings import groups_path
from stillwatch.sharing.bundle import SHARED_VERDICTS
from stillwatch.sharing.changes import is_revoked
from stillwatch.sharing.gate import Considered, Released, released
from stillwatch.sharing.objects import measures
from stillwatch.sharing.recipients import Recipients

PROPOSED_HOURS: Final = 24  # after that the campaigns have moved on
_CHUNK: Final = 500  # rows of one statement


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, and when."""

    name: str
    now: datetime


def recipients_of(settings: ServerSettings) -> Recipients:
    """Whom something may be sent to.

    Raises:
        SettingsError: the file of recipients cannot be used.
    """
    return read_recipients(Path(settings.sharing.recipients) if settings.sharing.recipients else recipients_path())


def sending_of(settings: ServerSettings, asked: Asked, *, now: datetime) -> Sending:
    """What to send under; two people are needed here, whatever the file of recipients says.

    Raises:
        SettingsError: the file of recipients cannot be used, or names no such recipient.
        HTTPException: the recipient has no collection, or there was no detection yet.
    """
    told = recipients_of(settings)
    told = replace(told, limits=replace(told.limits, needs_approver=True, two_people=True))
    groups = Path(settings.sharing.groups) if settings.sharing.groups else groups_path()
    under = sending(told, asked.recipient, groups, tlp=asked.tlp, group_id=asked.group_id, now=now)
    if under.recipient.collection is None:
        raise HTTPException(409, "This recipient has no collection: name one in the file of recipients.")
    if not store.read_run(output_folder(settings)):
        raise HTTPException(409, "There was no detection yet.")
    return under


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a recipient holds, the newest version of each object by id; and how much left for it until then."""

    objects: Mapping[str, dict[str, Any]]
    releases: int


def holdings(connection: sa.Connection, recipient: str) -> Holdings:
    """What the recipient was sent, at one moment."""
    wanted = sa.select(sent_objects.c.object_id, sent_objects.c.document).where(sent_objects.c.recipient == recipient)
    rows = connection.execute(wanted.order_by(sent_objects.c.object_id))
    return Holdings({row.object_id: json.loads(row.document) for row in rows}, _left_for(connection, recipient))


def would_leave(database: Database, settings: ServerSettings, under: Sending, asked: Asked) -> Considered:
    """What would leave now.

    Raises:
        SharingError: an object holds what must not leave, or is to be taken back and was never sent.
    """
    with database.read() as connection:
        held, done = holdings(connection, under.recipient.name), taken(connection, settings.decisions.live)
    return _considered(output_folder(settings), under, asked, held, done)


def propose(database: Database, settings: ServerSettings, asked: Asked, *, by: Person) -> str:
    """Propose a release; its id.

    The gate does its work before the turn to write is taken: others need not wait for it.

    Raises:
        SharingError: nothing would leave, or it is too large.
        HTTPException: as of `sending_of`, the recipient would learn nothing new, or something left for it meanwhile.
    """
    under = sending_of(settings, asked, now=by.now)
    with database.read() as connection:
        held, done = holdings(connection, under.recipient.name), taken(connection, settings.decisions.live)
    would = _considered(output_folder(settings), under, asked, held, done)
    if would.too_large:
        raise HTTPException(409, f"{would.too_large}.")
    if not would.objects or would.differences.is_empty:
        raise HTTPException(409, f"Nothing new would leave for {under.recipient.name}.")
    with database.write() as connection:
        audit.hold(connection)
        refuse_change(connection, under.recipient.name, held)
        return keep_proposal(connection, under, would, act="revoke" if asked.revoke else "export", by=by)


def keep_proposal(connection: sa.Connection, under: Sending, would: Considered, *, act: str, by: Person) -> str:
    """Write down what was proposed; its id."""
    release_id = secrets.token_hex(10)
    told = {
        "act": act,
        "recipient": under.recipient.name,
        "collection": under.recipient.collection,
        "marking": would.marking,
        "object_count": len(would.objects),
        "digest": would.digest,
        "group_id": None if under.group is None else under.group.group_id,
    }
    row = {
        **told,
        "release_id": release_id,
        "state": "proposed",
        "object_ids": [object_["id"] for object_ in would.objects],
        "preview": would.as_json(),
        "bundle": would.text,
        "proposer": by.name,
        "proposed_at": by.now,
    }
    connection.execute(releases.insert().values(row))
    audit.record(connection, at=by.now, principal=by.name, action="release.proposed", subject=release_id, after=told)
    return release_id


def approve(database: Database, settings: ServerSettings, release_id: str, *, by: Person) -> None:
    """Approve a release, and let it leave.

    The gate does its work before the turn to write is taken; under it only what may have changed since is looked at.

    Raises:
        HTTPException: it is not proposed (any more), would not leave as it was proposed, or something left for its
            recipient meanwhile.
        SharingError: who approves has proposed it.
    """
    with database.read() as connection:
        row = proposed(connection, release_id, by.now)
        held = holdings(connection, row["recipient"])
    if row["proposer"] == by.name:
        raise HTTPException(403, "Who proposed it cannot approve it too: somebody else must.")
    asked = Asked(recipient=row["recipient"], tlp=row["marking"], group_id=row["group_id"])
    under = sending_of(settings, asked, now=by.now)
    would = _as_proposed(settings, under, row, held.objects)
    if would.digest != row["digest"] or under.recipient.collection != row["collection"]:
        raise HTTPException(409, "It would not leave as it was proposed any more. Propose it again.")
    done = released(would, approver=by.name, proposer=row["proposer"], now=by.now)
    with database.write() as connection:
        audit.hold(connection)
        proposed(connection, release_id, by.now)
        refuse_change(connection, row["recipient"], held)
        _check_readers(connection, row["collection"], done)
        publish(connection, done.objects, collection_id=row["collection"], now=by.now, by=by.name)
        _hand_over(connection, row["number"], under.recipient.name, done)
        _end(connection, row, "released", by)
        audit.record(
            connection, at=by.now, principal=by.name, action="release.approved", subject=release_id, after=done.row()
        )


def withdraw(connection: sa.Connection, release_id: str, *, by: Person) -> None:
    """Drop a proposal.

    Raises:
        HTTPException: there is none of that id, or it has ended.
    """
    audit.hold(connection)
    row = found(connection, release_id)
    if row["state"] != "proposed":
        raise HTTPException(409, f"This release is {row['state']} already.")
    _end(connection, row, "withdrawn", by)
    audit.record(connection, at=by.now, principal=by.name, action="release.withdrawn", subject=release_id)


def found(connection: sa.Connection, release_id: str) -> dict[str, Any]:
    """The release of that id.

    Raises:
        HTTPException: there is none.
    """
    row = connection.execute(sa.select(releases).where(releases.c.release_id == release_id)).mappings().first()
    if row is None:
        raise HTTPException(404, "There is no such release.")
    return dict(row)


def proposed(connection: sa.Connection, release_id: str, now: datetime) -> dict[str, Any]:
    """The release of that id, which waits to be approved.

    Raises:
        HTTPException: there is none, or it does not wait any more.
    """
    row = found(connection, release_id)
    if row["state"] != "proposed":
        raise HTTPException(409, f"This release is {row['state']} already.")
    if not is_open(row, now):
        raise HTTPException(409, f"It was proposed more than {PROPOSED_HOURS} hours ago. Propose it again.")
    return row


def is_open(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether what was proposed may still be approved."""
    return bool(row["proposed_at"] + timedelta(hours=PROPOSED_HOURS) > now)


def listed(connection: sa.Connection, *, state: str | None, after: int | None, limit: int) -> list[dict[str, Any]]:
    """Releases, newest first, from after the one of that number."""
    wanted = sa.select(releases).order_by(releases.c.number.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(releases.c.state == state)
    if after is not None:
        wanted = wanted.where(releases.c.number < after)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _considered(
    folder: Path, under: Sending, asked: Asked, held: Holdings, done: Mapping[str, Collection[str]]
) -> Considered:
    if asked.revoke:
        return taken_back(folder, under, asked.revoke, because=asked.because, before=held.objects)
    return outbound(folder, under, before=held.objects, taken=done)


def _left_for(connection: sa.Connection, recipient: str) -> int:
    """How many releases left for the recipient; it grows with each."""
    is_theirs = (releases.c.recipient == recipient) & (releases.c.state == "released")
    return int(connection.execute(sa.select(sa.func.count()).where(is_theirs)).scalar_one())


def refuse_change(connection: sa.Connection, recipient: str, held: Holdings) -> None:
    """Refuse to go on when something left for the recipient since its holdings were read.

    Raises:
        HTTPException: it did.
    """
    if _left_for(connection, recipient) != held.releases:
        raise HTTPException(409, f"Something left for {recipient} in this very moment. Ask again.")


def _as_proposed(
    settings: ServerSettings, under: Sending, row: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]
) -> Considered:
    """What was proposed, through the gate once more."""
    objects = json.loads(row["bundle"])["objects"]
    campaigns = store.read_campaigns(output_folder(settings))
    standing = {campaign["campaign_id"] for campaign in campaigns if campaign["verdict"] in SHARED_VERDICTS}
    told = [campaign_id_of(one) for one in objects if one["type"] == "campaign" and not is_revoked(one)]
    if not standing.issuperset(told):
        raise HTTPException(409, "A campaign of it is not found any more, or is explained. Propose it again.")
    aliases = [*read_aliases(output_folder(settings)), *sent_aliases(before)]
    return through_gate(objects, under, campaigns, before=before, aliases=aliases)


def _check_readers(connection: sa.Connection, collection: str, done: Released) -> None:
    """Refuse to publish where others read than the release is for; clearance is the collection's own to hold."""
    place = id_of(connection, collection)
    is_it = taxii_collections.c.collection_id == place
    group_id = connection.execute(sa.select(taxii_collections.c.group_id).where(is_it)).scalar()
    keyed = {told["group_id"] for one in done.objects if "group_id" in (told := measures(one))}
    if keyed - {group_id}:
        raise HTTPException(409, f"{sorted(keyed)[0]}: its values leave only into a collection of that sharing group.")
    reads = (taxii_rights.c.collection_id == place) & taxii_rights.c.can_read
    readers = connection.execute(sa.select(sa.func.count()).select_from(taxii_rights).where(reads)).scalar_one()
    if done.record.marking == "red" and readers > 1:
        raise HTTPException(409, "TLP:RED is for one reader, and this collection has more.")


def _hand_over(connection: sa.Connection, number: int, recipient: str, done: Released) -> None:
    """The recipient holds these versions from now on."""
    ids = [object_["id"] for object_ in done.objects]
    rows = [
        {"recipient": recipient, "object_id": object_["id"], "number": number, "document": json.dumps(object_)}
        for object_ in done.objects
    ]
    for start in range(0, len(rows), _CHUNK):
        mine = (sent_objects.c.recipient == recipient) & sent_objects.c.object_id.in_(ids[start : start + _CHUNK])
        connection.execute(sent_objects.delete().where(mine))
        connection.execute(sent_objects.insert(), rows[start : start + _CHUNK])


def _end(connection: sa.Connection, row: Mapping[str, Any], state: str, by: Person) -> None:
    ended = {"state": state, "ended_by": by.name, "ended_at": by.now, "preview": None, "bundle": None}
    connection.execute(releases.update().where(releases.c.number == row["number"]).values(ended))
