"""The snapshot of this process: made when the service opens, before anybody is answered from it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from stillwatch.decisions import load_policy
from stillwatch.server.database import Database
from stillwatch.server.decisions.snapshot import Snapshot
from stillwatch.server.settings import Deciding


def snapshot_of(database: Database, settings: Deciding, *, now: Callable[[], datetime]) -> Snapshot:
    """Everything that stands, under the policy's countermeasures and the actions that are live.

    Raises:
        SettingsError: the policy cannot be used.
        ServiceError: the database does not answer.
    """
    policy = load_policy(Path(settings.policy) if settings.policy else None)
    snapshot = Snapshot(policy.countermeasures, live=settings.live, now=now)
    snapshot.refresh(database)
    return snapshot
