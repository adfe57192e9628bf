"""Records that change, as SQL tables: one module per kind, all in one `metadata`."""

from stillwatch.server.tables.access import api_keys
from stillwatch.server.tables.audit import audit
from stillwatch.server.tables.base import Moment, metadata
from stillwatch.server.tables.decisions import approvals, brakes, changes, decisions
from stillwatch.server.tables.leases import leases

__all__ = ["Moment", "api_keys", "approvals", "audit", "brakes", "changes", "decisions", "leases", "metadata"]
