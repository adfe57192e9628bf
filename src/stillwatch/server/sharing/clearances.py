"""Where the file of recipients and the partners of the TAXII server say different things of the same partner.

Why:    the file says what may leave for somebody, the server who may read what is there. Both hold, and the stricter
        one wins; but a partner that is not cleared here never sees what was approved for it there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from stillwatch.server.tables import partners, taxii_collections, taxii_rights
from stillwatch.sharing.recipients import STRICTNESS, Recipient


@dataclass(frozen=True, slots=True)
class Reader:
    """A partner that reads in a collection: its clearance and its sharing groups."""

    partner_id: str
    clearance: str
    groups: frozenset[str]


def differences(connection: sa.Connection, told: Mapping[str, Recipient]) -> list[str]:
    """What differs, in words, by recipient and by partner that reads in its collection."""
    by_collection = _readers(connection)
    found: list[str] = []
    for name, recipient in sorted(told.items()):
        if recipient.collection is None:
            continue
        if recipient.collection not in by_collection:
            found.append(f"{name}: there is no collection {recipient.collection}")
        for reader in by_collection.get(recipient.collection, ()):
            found += [f"{name}, read by {reader.partner_id}: {words}" for words in _compared(recipient, reader)]
    return found


def _compared(recipient: Recipient, reader: Reader) -> Iterator[str]:
    if STRICTNESS[reader.clearance] != STRICTNESS[recipient.ceiling]:
        yield f"up to TLP:{recipient.ceiling} may leave, and the partner is cleared for TLP:{reader.clearance}"
    for group_id in sorted(recipient.groups - reader.groups):
        yield f"values of group {group_id} may leave, and the partner is not in it"


def _readers(connection: sa.Connection) -> dict[str, list[Reader]]:
    """Who reads in each collection, by its id and by its alias."""
    found: dict[str, list[Reader]] = {}
    for place, alias in connection.execute(sa.select(taxii_collections.c.collection_id, taxii_collections.c.alias)):
        found[place] = []
        if alias is not None:
            found[alias] = found[place]
    held = sa.select(taxii_rights.c.collection_id, partners.c.partner_id, partners.c.clearance, partners.c.groups).join(
        partners, partners.c.partner_id == taxii_rights.c.partner_id
    )
    for row in connection.execute(held.where(taxii_rights.c.can_read).order_by(partners.c.partner_id)):
        found[row.collection_id].append(Reader(row.partner_id, row.clearance, frozenset(row.groups)))
    return found
