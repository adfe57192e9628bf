"""What is done about each account: proposed, approved, taken, undone, and told to gateways."""

from stillwatch.server.decisions.enforced import Taken, taken
from stillwatch.server.decisions.following import snapshot_of
from stillwatch.server.decisions.ledger import tell_of_deletions
from stillwatch.server.decisions.newcomers import attach
from stillwatch.server.decisions.passes import end_answered
from stillwatch.server.decisions.recommended import Reconciled, reconcile
from stillwatch.server.decisions.snapshot import Snapshot

__all__ = [
    "Reconciled",
    "Snapshot",
    "Taken",
    "attach",
    "end_answered",
    "reconcile",
    "snapshot_of",
    "taken",
    "tell_of_deletions",
]
