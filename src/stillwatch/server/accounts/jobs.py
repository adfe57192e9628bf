"""The work of verifications that comes round."""

from functools import partial

from stillwatch.server.accounts.results import forget_receipts, verifiers
from stillwatch.server.accounts.verifications import expire, renew
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service

EVERY_S = 60.0


def jobs(service: Service) -> list[Job]:
    """Let checks expire and passes be renewed.

    Raises:
        SettingsError: a secret of the settings cannot be used.
    """
    verifiers(service.settings.verification)  # a secret that cannot be used is told at the start, not by the vendor
    return [Job("verifications", EVERY_S, partial(look_at_clock, service))]


def look_at_clock(service: Service) -> None:
    """One turn: everything that is due, a part at a time."""
    now = service.now()
    for work in (expire, renew):
        is_done = False
        while not is_done:
            with service.database.write() as connection:
                is_done = work(connection, now=now) == 0
    with service.database.write() as connection:
        forget_receipts(connection, now=now)
