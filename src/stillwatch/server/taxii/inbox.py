"""What partners sent, in the order in which it came: where an inbox reads on from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from stillwatch.server.tables import taxii_received

MOST_ROWS = 1000  # of one call


@dataclass(frozen=True, slots=True)
class Received:
    """One object as a partner sent it: structurally STIX, and beyond that nothing but a stranger's word."""

    number: int
    partner_id: str
    collection_id: str
    at: datetime
    object_: dict[str, Any]


def received(connection: sa.Connection, after: int = 0, *, most: int = MOST_ROWS) -> list[Received]:
    """Objects that came after that number, oldest first; none is ever added before a number that was told."""
    table = taxii_received
    rows = connection.execute(sa.select(table).where(table.c.number > after).order_by(table.c.number).limit(most))
    return [
        Received(row["number"], row["partner_id"], row["collection_id"], row["at"], orjson.loads(row["document"]))
        for row in rows.mappings()
    ]
