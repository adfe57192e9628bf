"""Private matching with partners: what we offer to match, sessions that run, and how much each partner has put in."""

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per set that partners may match against. `sealed`: digests of its identifiers, encrypted under the key of the
# deployment. `partners`: whom it is offered to, by the names of their keys; null means every partner.
psi_sets = Table(
    "psi_sets",
    metadata,
    Column("set_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("partners", Document),
    Column("size", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("offered_by", String(200), nullable=False),
    Column("offered_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    info=kept(None),  # psi/jobs.py removes them
)

# One row per session that runs; it goes when the session ends. `sealed`: the session's secret and the digests of our
# side in the order they are given in. Nothing of the partner's is kept. `next_page`: of the partner's points.
psi_sessions = Table(
    "psi_sessions",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("partner", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("size", Integer, nullable=False),
    Column("own_size", Integer, nullable=False),
    Column("next_page", Integer, nullable=False),
    Column("own_reads", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Index("ix_psi_sessions_partner", "partner", "expires_at"),
    info=kept(None),
)

# One row per partner, day in UTC and direction (`received`: theirs against our set; `sent`: ours against their set):
# how many identifiers were put in, in how many sessions.
psi_inputs = Table(
    "psi_inputs",
    metadata,
    Column("partner", String(200), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("direction", String(10), primary_key=True),
    Column("inputs", Integer, nullable=False),
    Column("sessions", Integer, nullable=False),
    info=kept(None),
)
