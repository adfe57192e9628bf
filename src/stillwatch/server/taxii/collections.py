"""Collections, and who may read or write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from stillwatch.errors import InputError, SettingsError
from stillwatch.server import audit
from stillwatch.server.tables import taxii_collections, taxii_rights
from stillwatch.server.taxii.partners import Partner, partner

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,34}")  # shorter than an id, so that it is never taken for one
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TITLE_CHARS, _DESCRIPTION_CHARS = 200, 1000


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as one partner has it."""

    collection_id: str
    title: str
    description: str | None
    alias: str | None
    can_read: bool
    can_write: bool


def made(
    connection: sa.Connection,
    *,
    title: str,
    by: str,
    now: datetime,
    alias: str | None = None,
    description: str | None = None,
    group_id: str | None = None,
) -> str:
    """Make a collection that nobody may read or write yet; its id.

    Raises:
        SettingsError: something told of it cannot be.
        InputError: the alias is taken.
    """
    audit.hold(connection)
    _refuse_wrong(title, description, alias, group_id)
    is_it = taxii_collections.c.alias == alias
    if alias is not None and connection.execute(sa.select(taxii_collections.c.alias).where(is_it)).first():
        raise InputError(f"there is a collection {alias} already; see `stillwatch collections list`")
    collection_id = str(uuid4())
    told = {"title": title, "description": description, "alias": alias, "group_id": group_id}
    connection.execute(
        taxii_collections.insert().values(collection_id=collection_id, made_at=now, last_added_us=0, **told)
    )
    audit.record(connection, at=now, principal=by, action="collection.made", subject=collection_id, after=told)
    return collection_id


def every(connection: sa.Connection) -> list[dict[str, Any]]:
    """All collections with the rights in them, oldest first."""
    columns = [column for column in taxii_collections.c if column.name != "last_added_us"]
    ordered = sa.select(*columns).order_by(taxii_collections.c.made_at, taxii_collections.c.collection_id)
    rows = [{**row, "rights": []} for row in connection.execute(ordered).mappings()]
    by_id = {row["collection_id"]: row["rights"] for row in rows}
    rights = sa.select(taxii_rights).order_by(taxii_rights.c.partner_id)
    for right in connection.execute(rights).mappings():
        by_id[right["collection_id"]].append({key: right[key] for key in ("partner_id", "can_read", "can_write")})
    return rows


def id_of(connection: sa.Connection, id_or_alias: str) -> str:
    """The id of a collection by its id or alias.

    Raises:
        InputError: there is none.
    """
    is_it = (taxii_collections.c.collection_id == id_or_alias) | (taxii_collections.c.alias == id_or_alias)
    found = connection.execute(sa.select(taxii_collections.c.collection_id).where(is_it)).scalar()
    if found is None:
        raise InputError("there is no such collection; see `stillwatch collections list`")
    return str(found)


def granted(
    connection: sa.Connection,
    id_or_alias: str,
    partner_id: str,
    *,
    can_read: bool,
    can_write: bool,
    by: str,
    now: datetime,
) -> None:
    """Let a partner do so much in a collection, in place of what it might before; nothing takes its rights away.

    Raises:
        InputError: there is no such collection or partner.
        SettingsError: the partner is no member of the collection's group.
    """
    audit.hold(connection)
    collection_id, one = id_of(connection, id_or_alias), partner(connection, partner_id)
    group_id = connection.execute(
        sa.select(taxii_collections.c.group_id).where(taxii_collections.c.collection_id == collection_id)
    ).scalar()
    if group_id is not None and group_id not in one.groups and (can_read or can_write):
        raise SettingsError(f"the collection is for members of {group_id}, and {partner_id} is none")
    is_it = (taxii_rights.c.collection_id == collection_id) & (taxii_rights.c.partner_id == partner_id)
    before = connection.execute(sa.select(taxii_rights.c.can_read, taxii_rights.c.can_write).where(is_it)).first()
    connection.execute(taxii_rights.delete().where(is_it))
    rights = {"can_read": can_read, "can_write": can_write}
    if can_read or can_write:
        connection.execute(taxii_rights.insert().values(collection_id=collection_id, partner_id=partner_id, **rights))
    audit.record(
        connection,
        at=now,
        principal=by,
        action="collection.granted",
        subject=f"{collection_id} {partner_id}",
        before=None if before is None else {"can_read": before.can_read, "can_write": before.can_write},
        after=rights,
    )


def open_to(connection: sa.Connection, one: Partner, id_or_alias: str | None = None) -> list[Collection]:
    """The collections in which a partner has any right, oldest first; of all, or the one of that id or alias."""
    table = taxii_collections
    wanted = (
        sa.select(table, taxii_rights.c.can_read, taxii_rights.c.can_write)
        .join(taxii_rights, taxii_rights.c.collection_id == table.c.collection_id)
        .where(taxii_rights.c.partner_id == one.partner_id)
        .where(table.c.group_id.is_(None) | table.c.group_id.in_(one.groups))
        .order_by(table.c.made_at, table.c.collection_id)
    )
    if id_or_alias is not None:
        wanted = wanted.where((table.c.collection_id == id_or_alias) | (table.c.alias == id_or_alias))
    return [_collection(row) for row in connection.execute(wanted).mappings()]


def _collection(row: Any) -> Collection:
    return Collection(
        row["collection_id"], row["title"], row["description"], row["alias"], row["can_read"], row["can_write"]
    )


def _refuse_wrong(title: str, description: str | None, alias: str | None, group_id: str | None) -> None:
    checks: Sequence[tuple[bool, str]] = (
        (0 < len(title) <= _TITLE_CHARS and title.isprintable(), "title: one line of at most 200 characters"),
        (
            description is None or (len(description) <= _DESCRIPTION_CHARS and description.isprintable()),
            "description: one line of at most 1,000 characters",
        ),
        (alias is None or bool(_ALIAS.fullmatch(alias)), "alias: at most 35 of a-z, 0-9 and dashes, a letter first"),
        (group_id is None or bool(_GROUP.fullmatch(group_id)), "group: letters, digits, dots and dashes"),
    )
    for is_right, words in checks:
        if not is_right:
            raise SettingsError(words)
