"""The audit log: what was done, by whom, and a chain of hashes that shows when a line is changed or taken out."""

from sqlalchemy import BigInteger, Column, String, Table

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per act, in order of `sequence`, which has no gaps. `hash` is over the row and the hash before it.
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("principal", String(200), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", String(500), nullable=False),
    Column("before", Document),
    Column("after", Document),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    info=kept(None),  # operate/retention.py trims it, chain and all
)
