"""Objects into a collection and out of it, each with its place, by whoever may.

Places are given under the lock that writers of records hold until they commit (`audit.hold`), so that a reader who is
past a place never misses an object that comes to stand before it. An id belongs to whoever brought it: nobody else adds
a version of it, or a revocation. What everybody shares (markings of TLP, our own extension) is kept in our own wording.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from stillwatch.errors import InputError, SharingError
from stillwatch.server import audit
from stillwatch.server.tables import taxii_collections, taxii_objects
from stillwatch.server.taxii.checking import Prepared, Unfit, prepared
from stillwatch.server.taxii.collections import id_of
from stillwatch.server.taxii.moments import in_us, told, version_of
from stillwatch.sharing.marking import TLP_MARKINGS, marking_definition
from stillwatch.sharing.objects import extension_definition

NOT_YOURS: Final = "an object of this id is here already, from somebody else"
# Everybody derives the ids of these from what they define: of one version, the first wording that came is kept.
DEFINITIONS: Final = frozenset({"attack-pattern", "extension-definition", "identity", "marking-definition"})
_CHUNK: Final = 500  # ids in one question to the database
SHARED: Final[Mapping[str, Prepared]] = {
    object_["id"]: prepared(object_) for object_ in [*map(marking_definition, TLP_MARKINGS), *extension_definition()]
}


@dataclass(slots=True)
class Kept:
    """What became of objects, each by its place among those given: kept, known already, or why neither."""

    new: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def publish(
    connection: sa.Connection,
    objects: Iterable[Mapping[str, Any]],
    *,
    collection_id: str,
    now: datetime,
    by: str = "stillwatch",
) -> int:
    """Release objects to a collection (its id or alias), within the caller's transaction; how many were new there.

    It asks nobody whether they may leave: that is the gate's business, and done before.

    Raises:
        InputError: there is no such collection.
        SharingError: an object cannot be kept, or its id is a partner's; nothing is released.
    """
    audit.hold(connection)
    place = id_of(connection, collection_id)
    try:
        ready = [prepared(dict(object_)) for object_ in objects]
    except Unfit as error:
        raise SharingError(f"an object cannot be released: {error}. Nothing was released.") from error
    kept = put(connection, place, ready, posted_by=None, now=now)
    if kept.refused:
        number, words = next(iter(kept.refused.items()))
        raise SharingError(f"{ready[number].object_id}: {words}. Nothing was released.")
    if kept.new:
        after = {"objects": len(kept.new)}
        audit.record(connection, at=now, principal=by, action="collection.published", subject=place, after=after)
    return len(kept.new)


def put(
    connection: sa.Connection,
    collection_id: str,
    objects: Sequence[Prepared],
    *,
    posted_by: str | None,
    now: datetime,
) -> Kept:
    """Keep objects in a collection, in the order in which they are given; what became of each."""
    audit.hold(connection)
    is_it = taxii_collections.c.collection_id == collection_id
    last_us = connection.execute(sa.select(taxii_collections.c.last_added_us).where(is_it)).scalar_one()
    place_us = max(in_us(now), last_us + 1)
    there = _there(connection, collection_id, {one.object_id for one in objects})
    rows: list[dict[str, Any]] = []
    kept, touched = Kept(), set()
    for number, given in enumerate(objects):
        one = SHARED.get(given.object_id, given)
        versions = there[one.object_id]
        if (outcome := _outcome(one, versions, posted_by)) is None:
            row = _row(collection_id, one, place_us + len(rows), posted_by, now)
            versions[row["version"]] = row
            rows.append(row)
            touched.add(one.object_id)
            kept.new.append(number)
        elif outcome:
            kept.refused[number] = outcome
        else:
            kept.known.append(number)
    if rows:
        connection.execute(taxii_objects.insert(), rows)
        connection.execute(taxii_collections.update().where(is_it).values(last_added_us=rows[-1]["added_us"]))
        _end_superseded(connection, collection_id, {id_: there[id_] for id_ in touched if len(there[id_]) > 1}, now)
    return kept


def taken_out(connection: sa.Connection, collection_id: str, added_us: Sequence[int]) -> None:
    """Take the versions at these places out of a collection."""
    audit.hold(connection)
    for start in range(0, len(added_us), _CHUNK):
        at_them = taxii_objects.c.added_us.in_(added_us[start : start + _CHUNK])
        connection.execute(taxii_objects.delete().where(taxii_objects.c.collection_id == collection_id, at_them))


def withdrawn(connection: sa.Connection, id_or_alias: str, object_id: str, *, by: str, now: datetime) -> int:
    """Take every version of an object out of a collection, whoever brought it; how many.

    Raises:
        InputError: there is no such collection or object.
    """
    audit.hold(connection)
    collection_id = id_of(connection, id_or_alias)
    is_it = (taxii_objects.c.collection_id == collection_id) & (taxii_objects.c.object_id == object_id)
    places = list(connection.execute(sa.select(taxii_objects.c.added_us).where(is_it)).scalars())
    if not places:
        raise InputError("there is no such object in the collection")
    taken_out(connection, collection_id, places)
    subject, before = f"{collection_id} {object_id}", {"versions": len(places)}
    audit.record(connection, at=now, principal=by, action="collection.withdrawn", subject=subject, before=before)
    return len(places)


Versions = dict[str, dict[str, Any]]  # rows of one object, by version


def _there(connection: sa.Connection, collection_id: str, object_ids: set[str]) -> defaultdict[str, Versions]:
    found: defaultdict[str, Versions] = defaultdict(dict)
    table, wanted = taxii_objects, sorted(object_ids)
    columns = (table.c.object_id, table.c.version, table.c.posted_by, table.c.document, table.c.ended_at)
    for start in range(0, len(wanted), _CHUNK):
        is_one = table.c.object_id.in_(wanted[start : start + _CHUNK])
        for row in connection.execute(
            sa.select(*columns).where(table.c.collection_id == collection_id, is_one)
        ).mappings():
            found[row["object_id"]][row["version"]] = dict(row)
    return found


def _outcome(one: Prepared, versions: Versions, posted_by: str | None) -> str | None:
    """None for an object that is new, nothing for one that is known, else why it is refused."""
    if not versions:
        return None
    if one.object_id in SHARED:
        return ""
    same = (
        versions.get(one.version)
        if one.version is not None
        else next((row for row in versions.values() if row["document"] == one.document), None)
    )
    if same is not None and (same["posted_by"] == posted_by or same["document"] == one.document):
        return ""
    if same is not None and one.kind in DEFINITIONS:
        return ""
    if any(row["posted_by"] != posted_by for row in versions.values()):
        return NOT_YOURS
    return None


def _row(collection_id: str, one: Prepared, added_us: int, posted_by: str | None, now: datetime) -> dict[str, Any]:
    return {
        "collection_id": collection_id,
        "added_us": added_us,
        "object_id": one.object_id,
        "version": one.version or version_of(told(added_us)),
        "kind": one.kind,
        "spec_version": "2.1",
        "tlp": one.tlp,
        "posted_by": posted_by,
        "size_bytes": len(one.document.encode()),
        "document": one.document,
        "ended_at": now if one.is_revoked else one.ended_at,
    }


def _end_superseded(
    connection: sa.Connection, collection_id: str, objects: Mapping[str, Versions], now: datetime
) -> None:
    """Older versions end now, and never after the newest: what has run out must not leave an older one to be found."""
    table = taxii_objects
    for object_id, versions in objects.items():
        newest = max(versions)
        ends = min(now, versions[newest]["ended_at"] or now)
        is_older = (table.c.object_id == object_id) & (table.c.version < newest)
        is_later = table.c.ended_at.is_(None) | (table.c.ended_at > ends)
        connection.execute(
            table.update().where(table.c.collection_id == collection_id, is_older, is_later).values(ended_at=ends)
        )
