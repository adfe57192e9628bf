"""Partners: other providers that have a key, what they are cleared for, and which sharing groups they belong to.

A partner is whoever holds a key of its name with the role `partner`: `stillwatch keys make --name PARTNER --role
partner` makes another one, for instance before the old one is revoked. A key that belongs to no partner sees nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from stillwatch.errors import InputError, SettingsError
from stillwatch.server import audit
from stillwatch.server.access import Principal
from stillwatch.server.tables import api_keys, partners, taxii_objects, taxii_statuses
from stillwatch.server.taxii.clearance import LEVELS

ROLE: Final = "partner"
NOBODY: Final = ""  # the sender of what a partner sent that is none any more; no partner has this id
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDENTITY = re.compile(r"identity--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOST_GROUPS, _MOST_CHARS = 100, 200


@dataclass(frozen=True, slots=True)
class Partner:
    """Another provider: the highest TLP it may see, its STIX identity where it told one, and its sharing groups."""

    partner_id: str
    name: str
    clearance: str
    identity_ref: str | None = None
    groups: tuple[str, ...] = ()

    @property
    def place(self) -> int:
        """The place of its clearance among the levels of TLP."""
        return LEVELS.index(self.clearance)


def partner_of(connection: sa.Connection, principal: Principal) -> Partner | None:
    """The partner that a principal speaks for; None when it speaks for none."""
    if ROLE not in principal.roles:
        return None
    row = connection.execute(sa.select(partners).where(partners.c.principal == principal.name)).mappings().first()
    return None if row is None else _partner(dict(row))


def partner(connection: sa.Connection, partner_id: str) -> Partner:
    """The partner of that id.

    Raises:
        InputError: there is none.
    """
    row = connection.execute(sa.select(partners).where(partners.c.partner_id == partner_id)).mappings().first()
    if row is None:
        raise InputError("there is no such partner; see `stillwatch partners list`")
    return _partner(dict(row))


def every(connection: sa.Connection) -> list[dict[str, Any]]:
    """All partners, by id."""
    return [dict(row) for row in connection.execute(sa.select(partners).order_by(partners.c.partner_id)).mappings()]


def added(connection: sa.Connection, new: Partner, *, by: str, now: datetime) -> None:
    """Know a partner from now on; it has no rights yet.

    Raises:
        SettingsError: something told of it cannot be.
        InputError: it is known already.
    """
    audit.hold(connection)
    _refuse_wrong(new)
    if connection.execute(sa.select(partners.c.partner_id).where(partners.c.partner_id == new.partner_id)).first():
        raise InputError(f"partner {new.partner_id} is known already; `stillwatch partners change` changes it")
    told = _told(new)
    row = {"partner_id": new.partner_id, "principal": f"key:{new.partner_id}", "added_at": now, **told}
    connection.execute(partners.insert().values(row))
    audit.record(connection, at=now, principal=by, action="partner.added", subject=new.partner_id, after=told)


def changed(connection: sa.Connection, partner_id: str, told: Mapping[str, Any], *, by: str, now: datetime) -> Partner:
    """Change what is told of a partner: any of name, clearance, identity_ref, groups. The partner as it is then.

    Raises:
        SettingsError: something told of it cannot be.
        InputError: there is no such partner.
    """
    audit.hold(connection)
    before = partner(connection, partner_id)
    after = _partner({"partner_id": partner_id, **_told(before), **told})
    _refuse_wrong(after)
    if after != before:
        is_it = partners.c.partner_id == partner_id
        connection.execute(partners.update().where(is_it).values(_told(after)))
        audit.record(
            connection,
            at=now,
            principal=by,
            action="partner.changed",
            subject=partner_id,
            before=_told(before),
            after=_told(after),
        )
    return after


def removed(connection: sa.Connection, partner_id: str, *, by: str, now: datetime) -> int:
    """Forget a partner: its rights end and its keys are revoked; how many keys. What it sent stays, without a sender.

    Raises:
        InputError: there is no such partner.
    """
    audit.hold(connection)
    before = partner(connection, partner_id)
    named = sa.select(api_keys).where(api_keys.c.name == partner_id, api_keys.c.revoked_at.is_(None))
    own = [row["key_id"] for row in connection.execute(named).mappings() if ROLE in row["roles"]]
    connection.execute(api_keys.update().where(api_keys.c.key_id.in_(own)).values(revoked_at=now))
    for key_id in own:
        audit.record(connection, at=now, principal=by, action="key.revoked", subject=key_id)
    # A later partner of the same id must not be taken for this one.
    connection.execute(taxii_objects.update().where(taxii_objects.c.posted_by == partner_id).values(posted_by=NOBODY))
    connection.execute(taxii_statuses.delete().where(taxii_statuses.c.partner_id == partner_id))
    connection.execute(partners.delete().where(partners.c.partner_id == partner_id))
    audit.record(connection, at=now, principal=by, action="partner.removed", subject=partner_id, before=_told(before))
    return len(own)


def _partner(row: Mapping[str, Any]) -> Partner:
    return Partner(row["partner_id"], row["name"], row["clearance"], row["identity_ref"], tuple(row["groups"]))


def _told(one: Partner) -> dict[str, Any]:
    return {
        "name": one.name,
        "clearance": one.clearance,
        "identity_ref": one.identity_ref,
        "groups": list(one.groups),
    }


def _refuse_wrong(one: Partner) -> None:
    if not _ID.fullmatch(one.partner_id):
        raise SettingsError("the id of a partner holds a-z, 0-9 and dashes, at most 63 of them")
    if not _is_name(one.name):
        raise SettingsError(f"the name of a partner is one line of at most {_MOST_CHARS} characters")
    if one.clearance not in LEVELS:
        raise SettingsError(f"clearance: give one of {', '.join(LEVELS)}")
    if one.identity_ref is not None and not _IDENTITY.fullmatch(one.identity_ref):
        raise SettingsError("identity_ref: give the id of a STIX identity, as in identity--xxxxxxxx-xxxx-...")
    _refuse_groups(one.groups)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MOST_CHARS and text.isprintable()


def _refuse_groups(groups: Sequence[str]) -> None:
    if len(groups) > _MOST_GROUPS or not all(_GROUP.fullmatch(group) for group in groups):
        raise SettingsError(f"groups: give at most {_MOST_GROUPS}, of letters, digits, dots and dashes")
