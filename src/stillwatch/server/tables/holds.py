"""Legal holds: whose data may neither be erased nor run out."""

from sqlalchemy import Column, Index, String, Table

from stillwatch.server.tables.base import Moment, kept, metadata

# One row per hold, kept when it is lifted. `subject_kind` is account or campaign; a held campaign holds its accounts.
# `until` is the moment it ends by itself; null means when it is lifted.
holds = Table(
    "holds",
    metadata,
    Column("hold_id", String(32), primary_key=True),
    Column("subject", String(500), nullable=False),
    Column("subject_kind", String(20), nullable=False),
    Column("because", String(2000), nullable=False),
    Column("placed_by", String(200), nullable=False),
    Column("placed_at", Moment, nullable=False),
    Column("until", Moment),
    Column("lifted_by", String(200)),
    Column("lifted_at", Moment),
    Index("ix_holds_subject", "subject"),
    info=kept(None),
)
