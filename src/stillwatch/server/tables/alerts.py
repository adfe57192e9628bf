"""What is to be told to others, and how far that has come with each of them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per thing to tell, written in the transaction of what it tells of. `subject` is an account or a campaign, as
# `subject_kind` says. `is_routed`: `deliveries` has its rows.
outbox = Table(
    "outbox",
    metadata,
    Column("message_id", String(40), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("subject", String(500), nullable=False, index=True),
    Column("subject_kind", String(10), nullable=False),
    Column("facts", Document, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("is_routed", Boolean, nullable=False, index=True),
    info=kept(None),  # alerts/delivering.py forgets them
)

# One row per thing to tell and whom: `target_id` is a hash of where it goes, `target` the host of it. States: waiting,
# sent, dead. `first_at` is the first attempt, null before it.
deliveries = Table(
    "deliveries",
    metadata,
    Column("message_id", String(40), ForeignKey("outbox.message_id", ondelete="CASCADE"), primary_key=True),
    Column("target_id", String(40), primary_key=True),
    Column("target", String(300), nullable=False),
    Column("state", String(16), nullable=False),
    Column("order", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("first_at", Moment),
    Column("sent_at", Moment),
    Column("because", String(300)),
    Index("ix_deliveries_due", "state", "target_id", "next_at"),
    info=kept(None),
)
