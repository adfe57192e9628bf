"""API keys: who may do what, and in whose name accounts are told of."""

from sqlalchemy import Column, String, Table

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per key. `hash` is SHA-256 of the whole key, which is random and long, so that a guess is hopeless. `roles` is
# a list of texts. `namespace` goes before every account id the key brings in; null leaves ids as they are.
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("roles", Document, nullable=False),
    Column("namespace", String(64)),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    info=kept(None),
)
