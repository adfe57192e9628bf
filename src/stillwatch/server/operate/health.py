"""Whether the service can do its work now: what it needs, asked one by one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from stillwatch.errors import StillwatchError
from stillwatch.server import migrations
from stillwatch.server.detection import runs
from stillwatch.server.service import Service

DETECTIONS_MISSED = 3  # turns of detection that may fail before the service says it is not ready
DETECTION_MAY_TAKE_S = 900.0


def unready(service: Service) -> dict[str, str]:
    """What is not as it should be, by name, in words; empty when the service is ready."""
    return {name: why for name, check in CHECKS.items() if (why := check(service)) is not None}


def _database(service: Service) -> str | None:
    try:
        with service.database.read() as connection:
            revision = migrations.current(connection)
    except StillwatchError:
        return "does not answer"
    return None if revision == migrations.newest() else f"is at revision {revision}, this is {migrations.newest()}"


def _state(service: Service) -> str | None:
    return unwritable(service.settings.storage.state)


def _detection(service: Service) -> str | None:
    """Of whichever process detects. Where nothing new comes in, none is due, and none is missed."""
    try:
        with service.database.read() as connection:
            since = runs.failing_since(connection)
    except StillwatchError:
        return None  # the database is told of
    age_s = (service.now() - since).total_seconds() if since else 0.0
    allowed_s = DETECTIONS_MISSED * service.settings.detection.every_s + DETECTION_MAY_TAKE_S
    return f"has not ended well for {age_s:.0f} s" if age_s > allowed_s else None


def unwritable(folder: Path) -> str | None:
    """Why nothing can be made durable in a folder; null when it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"cannot be written to: {error.strerror}"
    return None


CHECKS: dict[str, Callable[[Service], str | None]] = {
    "database": _database,
    "state": _state,
    "detection": _detection,
}
