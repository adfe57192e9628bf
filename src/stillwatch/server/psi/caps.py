"""How much is put in: identifiers and sessions by partner and day in UTC, in both directions together.

Why:    each identifier that a partner puts in may be a guess. Counted in the database, before the first point moves and
        filled up to the bucket, so that no number of processes, sessions or sizes lets more through.
Misses: partners who put their days together, and one who holds keys under several names.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from stillwatch.errors import SharingError
from stillwatch.server import audit
from stillwatch.server.settings import Matching
from stillwatch.server.tables import psi_inputs

RECEIVED, SENT = "received", "sent"  # theirs against our set, ours against theirs
KEPT_DAYS = 31


def spend(
    connection: sa.Connection, limits: Matching, *, partner: str, direction: str, count: int, now: datetime
) -> int:
    """Count so many identifiers and one session, within the caller's transaction; how many are left today.

    Raises:
        SharingError: that would be more than a day allows; nothing is counted.
    """
    audit.hold(connection)
    inputs, sessions = spent(connection, partner, now)
    if inputs + count > limits.inputs_a_day:
        raise SharingError(
            f"{limits.inputs_a_day:,} identifiers a day may be put in between us and this partner, in both directions "
            f"together; {inputs:,} were, and this would be {count:,} more (sizes are rounded up). "
            "Put in fewer, or wait for the next day in UTC."
        )
    if sessions >= limits.sessions_a_day:
        raise SharingError(f"{limits.sessions_a_day:,} sessions a day are allowed. Wait for the next day in UTC.")
    _add(connection, partner=partner, day=day_of(now), direction=direction, count=count)
    return limits.inputs_a_day - inputs - count


def spent(connection: sa.Connection, partner: str, now: datetime) -> tuple[int, int]:
    """Identifiers put in between us and the partner today, and sessions."""
    sums = sa.select(
        sa.func.coalesce(sa.func.sum(psi_inputs.c.inputs), 0), sa.func.coalesce(sa.func.sum(psi_inputs.c.sessions), 0)
    ).where(psi_inputs.c.partner == partner, psi_inputs.c.day == day_of(now))
    inputs, sessions = connection.execute(sums).one()
    return int(inputs), int(sessions)


def forgotten(connection: sa.Connection, now: datetime) -> int:
    """Remove the counts of days long past; how many rows went."""
    oldest = day_of(now - timedelta(days=KEPT_DAYS))
    return connection.execute(psi_inputs.delete().where(psi_inputs.c.day < oldest)).rowcount


def day_of(now: datetime) -> str:
    """The day in UTC."""
    return now.astimezone(UTC).date().isoformat()


def seconds_to_midnight(now: datetime) -> int:
    """How long the day in UTC still lasts."""
    utc = now.astimezone(UTC)
    midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1, -int((utc - midnight).total_seconds() // 1))


def _add(connection: sa.Connection, *, partner: str, day: str, direction: str, count: int) -> None:
    mine = (psi_inputs.c.partner == partner) & (psi_inputs.c.day == day) & (psi_inputs.c.direction == direction)
    more = {"inputs": psi_inputs.c.inputs + count, "sessions": psi_inputs.c.sessions + 1}
    if not connection.execute(psi_inputs.update().where(mine).values(more)).rowcount:
        row = {"partner": partner, "day": day, "direction": direction, "inputs": count, "sessions": 1}
        connection.execute(psi_inputs.insert().values(row))
