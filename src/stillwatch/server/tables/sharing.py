"""What left for other providers, or is proposed to: one person proposes, another approves."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per release, in order of `number`. `act` is export or revoke; `state` is proposed, released or withdrawn, the
# last two with an end. `preview` is what the approver is shown, `bundle` what would leave, byte for byte as `digest`
# says; both are null once it has ended, for what left stands in `sent_objects`.
releases = Table(
    "releases",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("release_id", String(20), nullable=False, unique=True),
    Column("act", String(10), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("recipient", String(63), nullable=False),
    Column("collection", String(36), nullable=False),
    Column("marking", String(20), nullable=False),
    Column("group_id", String(63)),
    Column("object_count", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("object_ids", Document, nullable=False),
    Column("preview", Document),
    Column("bundle", Text),
    Column("proposer", String(250), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("ended_by", String(250)),
    Column("ended_at", Moment),
    info=kept(None),
)

# One row per recipient and object it holds: the newest version it was sent, as JSON.
sent_objects = Table(
    "sent_objects",
    metadata,
    Column("recipient", String(63), primary_key=True),
    Column("object_id", String(120), primary_key=True),
    Column("number", Integer, ForeignKey("releases.number"), nullable=False),
    Column("document", Text, nullable=False),
    Index("ix_sent_objects_number", "number"),
    info=kept(None),
)
