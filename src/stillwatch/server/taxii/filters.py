"""What a client asks for, and as conditions of the database: filters, pages, versions (sections 3.4, 3.5).

A page goes on from the place of the last object it gave, so what is added or taken out meanwhile shifts nothing. The
mark of a page tells no more than the moment at which that object was added, which its header tells as well.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import sqlalchemy as sa
from fastapi import Depends, HTTPException, Query

from stillwatch.server.tables import taxii_objects
from stillwatch.server.taxii.checking import SPEC_VERSION
from stillwatch.server.taxii.moments import us_of, version_of
from stillwatch.server.taxii.partners import Partner

MOST_A_PAGE: Final = 1000
MOST_VALUES: Final = 200  # of one filter
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_MARK_BYTES: Final = 8
_MOST_CHARS: Final = 30_000  # of one filter
_ID_CHARS: Final = 120
_WORDS: Final = frozenset({"first", "last", "all"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for; empty sets ask for anything."""

    limit: int = MOST_A_PAGE
    after_us: int | None = None
    ids: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """How much is wanted, and after what."""

    limit: int
    after_us: int | None


Text = Annotated[str | None, Query(max_length=200)]


def page(added_after: Text = None, limit: Text = None, next: Text = None) -> Page:  # noqa: A002 - TAXII calls it so
    """`added_after`, `limit` and `next` of the URL; 400 when they cannot be read."""
    most = MOST_A_PAGE if limit is None else _read(limit, _count, "limit: give a number above 0")
    marks = [
        None if added_after is None else _read(added_after, us_of, "added_after: give YYYY-MM-DDTHH:MM:SS.ssssssZ"),
        None if next is None else _read(next, place_of_mark, "next: give what the page before told, unchanged"),
    ]
    return Page(min(most, MOST_A_PAGE), max((mark for mark in marks if mark is not None), default=None))


Paged = Annotated[Page, Depends(page)]


Id = Annotated[str | None, Query(alias="match[id]", max_length=_MOST_CHARS)]
Kind = Annotated[str | None, Query(alias="match[type]", max_length=_MOST_CHARS)]
Version = Annotated[str | None, Query(alias="match[version]", max_length=_MOST_CHARS)]
SpecVersion = Annotated[str | None, Query(alias="match[spec_version]", max_length=_MOST_CHARS)]


def wanted(
    paged: Paged,
    match_id: Id = None,
    match_type: Kind = None,
    match_version: Version = None,
    match_spec_version: SpecVersion = None,
) -> Wanted:
    """Every filter there is; 400 when one cannot be read."""
    return Wanted(
        limit=paged.limit,
        after_us=paged.after_us,
        ids=_listed(match_id, "match[id]"),
        kinds=_listed(match_type, "match[type]"),
        versions=_versions(match_version),
        spec_versions=_listed(match_spec_version, "match[spec_version]"),
    )


def of_one(object_id: str, paged: Page | None, version: str | None, spec_version: str | None) -> Wanted:
    """The filters of one object; 404 for an id that nothing can have."""
    if len(object_id) > _ID_CHARS or not (object_id.isascii() and object_id.isprintable()):
        raise HTTPException(404, "There is no such object.")
    return Wanted(
        limit=MOST_A_PAGE if paged is None else paged.limit,
        after_us=None if paged is None else paged.after_us,
        ids=frozenset({object_id}),
        versions=_versions(version),
        spec_versions=_listed(spec_version, "match[spec_version]"),
    )


def mark_of(added_us: int) -> str:
    """The mark of the page that begins after this place."""
    return base64.urlsafe_b64encode(added_us.to_bytes(_MARK_BYTES, signed=True)).decode().rstrip("=")


def place_of_mark(mark: str) -> int | None:
    """The place after which a page begins; None when the mark is none of ours."""
    try:
        found = base64.b64decode(f"{mark}=", altchars=b"-_", validate=True)
    except ValueError:
        return None
    return int.from_bytes(found, signed=True) if len(found) == _MARK_BYTES else None


def conditions(one: Partner, collection_id: str, asked: Wanted) -> list[sa.ColumnElement[bool]]:
    """What a version must be to be given to a partner: first of all one that it may see."""
    table = taxii_objects
    found = [seen_by(table, one, collection_id)]
    if asked.after_us is not None:
        found.append(table.c.added_us > asked.after_us)
    if asked.ids:
        found.append(table.c.object_id.in_(asked.ids))
    if asked.kinds:
        found.append(table.c.kind.in_(asked.kinds))
    found.append(table.c.spec_version.in_(asked.spec_versions or {SPEC_VERSION}))
    versions = asked.versions or {"last"}
    if "all" not in versions:
        found.append(sa.or_(*(_is_version(table, one, collection_id, word) for word in sorted(versions))))
    return found


def seen_by(table: sa.FromClause, one: Partner, collection_id: str) -> sa.ColumnElement[bool]:
    """Whether a version may be seen: within the partner's clearance, or sent by the partner itself."""
    is_cleared = (table.c.tlp <= one.place) | (table.c.posted_by == one.partner_id)
    return (table.c.collection_id == collection_id) & is_cleared


def _is_version(table: sa.Table, one: Partner, collection_id: str, word: str) -> sa.ColumnElement[bool]:
    """Whether a version is the first or last that the partner may see, or the one of that moment."""
    if word not in _WORDS:
        return table.c.version == word
    other = table.alias()
    is_beyond = other.c.version > table.c.version if word == "last" else other.c.version < table.c.version
    is_same = other.c.object_id == table.c.object_id
    return ~sa.exists().where(seen_by(other, one, collection_id), is_same, is_beyond)


def _read(given: str, reading: Callable[[str], int | None], words: str) -> int:
    found = reading(given)
    if found is None:
        raise HTTPException(400, words)
    return found


def _count(given: str) -> int | None:
    return int(given) if _NUMBER.fullmatch(given) else None


def _listed(given: str | None, name: str) -> frozenset[str]:
    values = frozenset(part.strip() for part in (given or "").split(",")) - {""}
    if len(values) > MOST_VALUES:
        raise HTTPException(400, f"{name}: give at most {MOST_VALUES} values")
    if not all(value.isascii() and value.isprintable() for value in values):
        raise HTTPException(400, f"{name}: give ids, types or versions, with commas between them")
    return values


def _versions(given: str | None) -> frozenset[str]:
    values = _listed(given, "match[version]")
    found = {value if value in _WORDS else version_of(value) for value in values}
    known = frozenset(version for version in found if version is not None)
    if len(known) < len(found):
        raise HTTPException(400, "match[version]: give first, last, all or moments as in YYYY-MM-DDTHH:MM:SS.sssZ")
    return known
