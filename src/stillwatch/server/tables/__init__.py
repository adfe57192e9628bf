"""Records that change, as SQL tables: one module per kind, all in one `metadata`."""

from stillwatch.server.tables.access import api_keys
from stillwatch.server.tables.accounts import accounts, verifications, webhook_receipts
from stillwatch.server.tables.alerts import deliveries, outbox
from stillwatch.server.tables.audit import audit
from stillwatch.server.tables.base import Moment, metadata
from stillwatch.server.tables.decisions import approvals, changes, decisions
from stillwatch.server.tables.holds import holds
from stillwatch.server.tables.leases import leases


__all__ = [
    "Moment",
    "accounts",
    "api_keys",
    "approvals",
    "audit",
    "changes",
    "decisions",
    "deliveries",
    "holds",
    "leases",
    "metadata",
    "outbox",
    "verifications",
    "webhook_receipts",
]
