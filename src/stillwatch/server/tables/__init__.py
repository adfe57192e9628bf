"""Records that change, as SQL tables: one module per kind, all in one `metadata`."""

from stillwatch.server.tables.access import api_keys
from stillwatch.server.tables.audit import audit
from stillwatch.server.tables.base import Moment, metadata
from stillwatch.server.tables.detection import analyst_verdicts, campaign_accounts, campaigns, detections
from stillwatch.server.tables.leases import leases

__all__ = [
    "Moment",
    "analyst_verdicts",
    "api_keys",
    "audit",
    "campaign_accounts",
    "campaigns",
    "detections",
    "leases",
    "metadata",
]
