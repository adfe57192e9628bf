"""Removing what private matching needs no longer: sessions and sets whose time is over, counts of days long past."""

from stillwatch.server import audit
from stillwatch.server.jobs import Job
from stillwatch.server.psi import caps, sessions, sets
from stillwatch.server.service import Service

EVERY_S = 60.0


def jobs(service: Service) -> list[Job]:
    """Once a minute."""
    return [Job("forget_matching", EVERY_S, lambda: forget(service))]


def forget(service: Service) -> None:
    """Remove it."""
    with service.database.write() as connection:
        audit.hold(connection)
        sessions.expired(connection, service.now())
        sets.expired(connection, service.now())
        caps.forgotten(connection, service.now())
