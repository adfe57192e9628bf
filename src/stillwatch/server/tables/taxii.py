"""Partners, the collections they may read or write, the objects in these, and what partners sent.

`added_us` is when an object was added, in microseconds since 1970, and at the same time its place in the collection: an
object gets the moment, or one more than the last that was given there, under the lock that writers of records hold
until they commit. So no object ever appears behind a reader, and a page can go on from the last number it gave.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per partner. `principal` is who its keys speak for: `key:` and the name of the key. `clearance` is the highest
# TLP it may see; `groups` lists the sharing groups it is a member of; `identity_ref` is its STIX identity.
partners = Table(
    "partners",
    metadata,
    Column("partner_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("principal", String(210), nullable=False, unique=True),
    Column("clearance", String(20), nullable=False),
    Column("identity_ref", String(60)),
    Column("groups", Document, nullable=False),
    Column("added_at", Moment, nullable=False),
    info=kept(None),
)

# One row per collection. `alias` may stand for the id in a URL. `group_id`: only members of that sharing group have
# rights, whatever was granted. `last_added_us` is the newest place that was given, whether or not its object is there.
taxii_collections = Table(
    "taxii_collections",
    metadata,
    Column("collection_id", String(36), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("description", String(1000)),
    Column("alias", String(64), unique=True),
    Column("group_id", String(64)),
    Column("made_at", Moment, nullable=False),
    Column("last_added_us", BigInteger, nullable=False),
    info=kept(None),
)

# One row per collection and partner that has any right there.
taxii_rights = Table(
    "taxii_rights",
    metadata,
    Column(
        "collection_id",
        String(36),
        ForeignKey("taxii_collections.collection_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("partner_id", String(64), ForeignKey("partners.partner_id", ondelete="CASCADE"), primary_key=True),
    Column("can_read", Boolean, nullable=False),
    Column("can_write", Boolean, nullable=False),
    info=kept(None),
)

# One row per version of an object in a collection. `version` is its `modified`, else `created`, else when it was added,
# with nine digits after the second, so that text sorts as time. `tlp` is the place of its strictest marking, 0 (clear)
# to 4 (red). `posted_by` is the partner that sent it, null when we published it. `document` is the object as JSON, byte
# for byte what is served. `ended_at`: expired, revoked or superseded since; null while none of these.
taxii_objects = Table(
    "taxii_objects",
    metadata,
    Column(
        "collection_id",
        String(36),
        ForeignKey("taxii_collections.collection_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("added_us", BigInteger, primary_key=True, autoincrement=False),
    Column("object_id", String(120), nullable=False),
    Column("version", String(40), nullable=False),
    Column("kind", String(80), nullable=False),
    Column("spec_version", String(5), nullable=False),
    Column("tlp", Integer, nullable=False),
    Column("posted_by", String(64)),
    Column("size_bytes", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("ended_at", Moment),
    Index("ix_taxii_objects_version", "collection_id", "object_id", "version", unique=True),
    Index("ix_taxii_objects_posted_by", "posted_by"),
    info=kept("sharing_days", "ended_at"),
)

# One row per request of a partner that added objects: what became of each.
taxii_statuses = Table(
    "taxii_statuses",
    metadata,
    Column("status_id", String(36), primary_key=True),
    Column("partner_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("objects", Integer, nullable=False),
    Column("document", Document, nullable=False),
    Index("ix_taxii_statuses_partner", "partner_id", "at"),
    info=kept("sharing_days", "at"),
)

# One row per object that a partner sent and that was kept, in order of `number`, which never comes twice: what an inbox
# reads from where it stopped. It stays when the partner deletes the object from the collection.
taxii_received = Table(
    "taxii_received",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("partner_id", String(64), nullable=False),
    Column("collection_id", String(36), nullable=False),
    Column("at", Moment, nullable=False),
    Column("document", Text, nullable=False),
    info=kept("sharing_days", "at"),
    sqlite_autoincrement=True,
)
