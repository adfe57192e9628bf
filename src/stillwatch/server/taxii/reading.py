"""Pages of a collection as one partner sees it: objects, their manifest, and the versions of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import sqlalchemy as sa

from stillwatch.server.tables import taxii_objects
from stillwatch.server.taxii.filters import Wanted, conditions, mark_of, seen_by
from stillwatch.server.taxii.media import STIX
from stillwatch.server.taxii.moments import told, told_version
from stillwatch.server.taxii.partners import Partner

MOST_PAGE_BYTES: Final = 8 << 20  # of objects in one page; one object is given whatever its size


@dataclass(frozen=True, slots=True)
class Found:
    """The versions of one page, in the order in which they were added, and whether more follow."""

    rows: Sequence[sa.RowMapping]
    is_more: bool

    def headers(self) -> dict[str, str]:
        """When the first and the last of them were added."""
        if not self.rows:
            return {}
        return {
            "X-TAXII-Date-Added-First": told(self.rows[0]["added_us"]),
            "X-TAXII-Date-Added-Last": told(self.rows[-1]["added_us"]),
        }

    def resource(self, name: str, values: Sequence[Any]) -> dict[str, Any]:
        """A page as TAXII has it; one without anything is empty."""
        if not values:
            return {}
        following = {"next": mark_of(self.rows[-1]["added_us"])} if self.is_more else {}
        return {"more": self.is_more, **following, name: values}


def found(
    connection: sa.Connection, one: Partner, collection_id: str, asked: Wanted, *, most_bytes: int | None = None
) -> Found:
    """The versions that a partner asks for and may see, without their documents; bounded by their bytes where told."""
    table = taxii_objects
    columns = (table.c.added_us, table.c.object_id, table.c.version, table.c.size_bytes)
    rows = (
        connection.execute(
            sa.select(*columns)
            .where(*conditions(one, collection_id, asked))
            .order_by(table.c.added_us)
            .limit(asked.limit + 1)
        )
        .mappings()
        .all()
    )
    given = min(len(rows), asked.limit)
    if most_bytes is not None:
        sizes = accumulate(row["size_bytes"] for row in rows[:given])
        given = max(min(given, 1), sum(size <= most_bytes for size in sizes))
    return Found(rows[:given], len(rows) > given)


def envelope(connection: sa.Connection, one: Partner, collection_id: str, asked: Wanted) -> tuple[bytes, Found]:
    """Objects as one page, byte for byte as they were given to us."""
    page = found(connection, one, collection_id, asked, most_bytes=MOST_PAGE_BYTES)
    if not page.rows:
        return b"{}", page
    table = taxii_objects
    at_them = table.c.added_us.in_([row["added_us"] for row in page.rows])
    documents = connection.execute(
        sa.select(table.c.document).where(seen_by(table, one, collection_id), at_them).order_by(table.c.added_us)
    ).scalars()
    following = f'"next":"{mark_of(page.rows[-1]["added_us"])}",' if page.is_more else ""
    head = f'{{"more":{"true" if page.is_more else "false"},{following}"objects":['
    return f"{head}{','.join(documents)}]}}".encode(), page


def manifest(page: Found) -> dict[str, Any]:
    """What a page holds, without the objects."""
    return page.resource(
        "objects",
        [
            {
                "id": row["object_id"],
                "date_added": told(row["added_us"]),
                "version": told_version(row["version"]),
                "media_type": STIX,
            }
            for row in page.rows
        ],
    )


def versions(page: Found) -> dict[str, Any]:
    """The versions of an object."""
    return page.resource("versions", [told_version(row["version"]) for row in page.rows])


def is_there(connection: sa.Connection, one: Partner, collection_id: str, object_id: str) -> bool:
    """Whether there is any version of an object that a partner may see."""
    is_it = taxii_objects.c.object_id == object_id
    wanted = sa.select(taxii_objects.c.added_us).where(seen_by(taxii_objects, one, collection_id), is_it).limit(1)
    return connection.execute(wanted).first() is not None
