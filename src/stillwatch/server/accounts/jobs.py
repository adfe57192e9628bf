"""The work of verifications that comes round: the clock is looked at, and what was decided."""

from collections.abc import Callable
from functools import partial

import sqlalchemy as sa

from stillwatch.server.accounts.asking import ask_as_decided
from stillwatch.server.accounts.requirements import default_check
from stillwatch.server.accounts.results import forget_receipts, verifiers
from stillwatch.server.accounts.verifications import expire, renew
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service
from stillwatch.server.tables import metadata

EVERY_S = 60.0


def jobs(service: Service) -> list[Job]:
    """Let checks expire, passes be renewed, and decisions be asked for.

    Raises:
        SettingsError: a secret of the settings cannot be used.
    """
    verifiers(service.settings.verification)  # a secret that cannot be used is told at the start, not by the vendor
    return [Job("verifications", EVERY_S, partial(look_at_clock, service))]


def look_at_clock(service: Service) -> None:
    """One turn: everything that is due, a part at a time."""
    now = service.now()
    for work in (expire, renew):
        _all_of(service, partial(work, now=now))
    decisions = metadata.tables.get("decisions")
    if decisions is not None and "verify" in service.settings.decisions.live:
        check = default_check(service.settings)
        _all_of(service, partial(ask_as_decided, decisions=decisions, default_check=check, now=now))
    with service.database.write() as connection:
        forget_receipts(connection, now=now)


def _all_of(service: Service, work: Callable[[sa.Connection], int]) -> None:
    """Do the work, one transaction at a time, until nothing is left of it."""
    is_done = False
    while not is_done:
        with service.database.write() as connection:
            is_done = work(connection) == 0
