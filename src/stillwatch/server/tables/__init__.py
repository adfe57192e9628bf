"""Records that change, as SQL tables: one module per kind, all in one `metadata`."""

from stillwatch.server.tables.access import api_keys
from stillwatch.server.tables.accounts import accounts, verifications, webhook_receipts
from stillwatch.server.tables.alerts import deliveries, outbox
from stillwatch.server.tables.audit import audit
from stillwatch.server.tables.base import Moment, metadata
from stillwatch.server.tables.decisions import approvals, brakes, changes, decisions
from stillwatch.server.tables.detection import (
    analyst_verdicts,
    campaign_accounts,
    campaigns,
    detections,
    recognised_campaigns,
)
from stillwatch.server.tables.holds import holds
from stillwatch.server.tables.leases import leases
from stillwatch.server.tables.psi import psi_inputs, psi_sessions, psi_sets
from stillwatch.server.tables.sharing import releases, sent_objects
from stillwatch.server.tables.taxii import (
    partners,
    taxii_collections,
    taxii_objects,
    taxii_received,
    taxii_rights,
    taxii_statuses,
)

__all__ = [
    "Moment",
    "accounts",
    "analyst_verdicts",
    "api_keys",
    "approvals",
    "audit",
    "brakes",
    "campaign_accounts",
    "campaigns",
    "changes",
    "decisions",
    "deliveries",
    "detections",
    "holds",
    "leases",
    "metadata",
    "outbox",
    "partners",
    "psi_inputs",
    "psi_sessions",
    "psi_sets",
    "recognised_campaigns",
    "releases",
    "sent_objects",
    "taxii_collections",
    "taxii_objects",
    "taxii_received",
    "taxii_rights",
    "taxii_statuses",
    "verifications",
    "webhook_receipts",
]
