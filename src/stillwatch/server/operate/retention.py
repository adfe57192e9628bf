"""What is too old goes, by class of data, every day; what a legal hold names stays.

Rollups go by whole days, rows of tables by the column that `info` of the table names, and the audit log from its old
end, with a line that lets the rest of the chain be checked.

What goes is gone, so a clock that jumped must not decide it: where the last look was more than `STEP` away by the
clock, whether the service was away or the clock is wrong, that is told, and nothing goes before the next look.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stillwatch import state
from stillwatch.server import audit
from stillwatch.server.jobs import Job
from stillwatch.server.operate.holds import held, held_campaigns, in_force
from stillwatch.server.service import Service
from stillwatch.server.tables import holds, metadata

EVERY_S = 86_400.0
STEP = timedelta(days=7)  # from one look to the next; a service that was stopped for longer waits a day as well
LOOKED_AT = "retention-looked-at"  # a file in the state folder: the moment of the last look
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def jobs(service: Service) -> list[Job]:
    """Removing what is too old, once a day."""
    return [Job("retain", EVERY_S, lambda: look(service))]


def retain(service: Service) -> dict[str, int]:
    """Remove what is older than the settings allow; how many rows went from where."""
    now, settings = service.now(), service.settings.retention
    with service.database.write() as connection:
        audit.hold(connection)
        accounts = held(connection, now)["account_id"].to_pylist()
        removed = _from_tables(connection, service, accounts)
        if settings.audit_days and not in_force(connection, now):
            removed["audit"] = audit.trimmed(connection, before=now - timedelta(days=settings.audit_days), now=now)
    if settings.rollups_days and state.exists(service.settings.storage.state):
        first_day = (now - _EPOCH).days - settings.rollups_days
        rows = state.retained(service.settings.storage.state, first_day, held=accounts)
        removed |= {f"{name} of the state": count for name, count in rows.items()}
    return {name: count for name, count in removed.items() if count}


def look(service: Service) -> None:
    """Remove what is too old, unless the clock may have jumped since the last look."""
    now, file = service.now(), service.settings.storage.state / LOOKED_AT
    try:
        before = datetime.fromisoformat(file.read_text("ascii"))
    except (OSError, ValueError):  # the first look, or one that a crash broke off
        before = datetime.min.replace(tzinfo=UTC)
    file.write_text(now.isoformat(), "ascii")
    if abs(now - before) > STEP:
        why = f"the last look was more than {STEP.days} days away by the clock, or there was none"
        service.log.warning("retention_waits", reason=f"{why}: nothing goes before the next one, in a day")
        return
    removed = retain(service)
    service.log.info("retained", rows=sum(removed.values()), table=", ".join(removed))


def _from_tables(connection: sa.Connection, service: Service, accounts: Sequence[str]) -> dict[str, int]:
    now, settings = service.now(), service.settings.retention
    campaigns = held_campaigns(connection, now)
    removed = {}
    for table in reversed(metadata.sorted_tables):
        setting = table.info["retention"]
        days = getattr(settings, setting) if setting else 0
        if days:
            is_old = table.c[table.info["since"]] < now - timedelta(days=days)
            removed[table.name] = connection.execute(
                table.delete().where(is_old, sa.not_(sa.or_(sa.false(), *_held_rows(table, accounts, campaigns))))
            ).rowcount
    return removed


def _held_rows(table: sa.Table, accounts: Sequence[str], campaigns: Sequence[str]) -> list[Any]:
    """Which rows of a table a hold keeps; a null is nobody's."""
    found = []
    for column, names in (("account_id", accounts), ("campaign_id", campaigns)):
        if column in table.c:
            found.append(sa.func.coalesce(table.c[column], "").in_(names))
    if "subject" in table.c and table is not holds:
        found.append(table.c.subject.in_([*accounts, *campaigns]))
    return found
