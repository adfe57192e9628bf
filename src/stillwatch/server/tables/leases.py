"""Leases: which process does a piece of work that only one may do at a time."""

from sqlalchemy import Column, String, Table

from stillwatch.server.tables.base import Moment, kept, metadata

# One row per piece of work: who holds it, and until when unless it is renewed.
leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("held_until", Moment, nullable=False),
    info=kept(None),
)
