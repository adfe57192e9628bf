"""An account out of everything the service holds: the state, what detection wrote, and every table of records.

1. The hold is looked at, before anything else.
2. What `FIRST` names is done: whatever is still on its way into the state has to be in it.
3. Output, state, then the tables in one transaction, with a line in the audit log that does not name the account.

A step that fails leaves the later ones undone and is an error: asked again, it goes on. The audit log itself keeps its
lines, which may name the account, until [retention] audit_days; a chain that can be cut anywhere proves nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillwatch import state, store, subjects
from stillwatch.server import audit
from stillwatch.server.decisions import tell_of_deletions
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.intake import fold_everything
from stillwatch.server.operate.holds import held
from stillwatch.server.service import Service
from stillwatch.server.settings import ServerSettings
from stillwatch.server.tables import decisions, holds, metadata

FIRST: tuple[Callable[[Service], None], ...] = (fold_everything,)  # of the parts, done before an account is erased


def erase(service: Service, account_id: str, *, by: str, now: datetime) -> dict[str, int]:
    """Erase an account; how many rows went from where.

    Raises:
        HeldError: it is under legal hold.
        StoreError: a detection is writing just now, or what came in cannot be folded.
        ServiceError: the database does not answer.
    """
    with service.database.read() as connection:
        holding = held(connection, now)
    subjects.refuse_held(holding, account_id, now.date())
    for first in FIRST:
        first(service)
    removed = _from_files(service.settings, account_id, holding, now)
    with service.database.write() as connection:
        audit.hold(connection)
        subjects.refuse_held(held(connection, now), account_id, now.date())
        removed |= from_tables(connection, account_id)
        told = {name: count for name, count in removed.items() if count}
        subject = service.key.digest("erased account", account_id.encode())  # nobody without the key can tell whose
        audit.record(connection, at=now, principal=by, action="account.erased", subject=subject, after=told)
    return removed


def from_tables(connection: sa.Connection, account_id: str) -> dict[str, int]:
    """Delete the account's rows from every table, and let gateways know; how many from each."""
    removed = {}
    for table in reversed(metadata.sorted_tables):
        if (of_account := rows_of(table, account_id)) is not None:
            removed[table.name] = connection.execute(table.delete().where(of_account)).rowcount
    if removed[decisions.name]:
        tell_of_deletions(connection)
    return {f"{name} of the records": count for name, count in removed.items()}


def rows_of(table: sa.Table, account_id: str) -> Any:
    """Which rows of a table are the account's; None when none can be. Holds stay: they are why nothing else may go."""
    if "account_id" in table.c:
        return table.c.account_id == account_id
    if {"subject", "subject_kind"} <= set(table.c.keys()) and table is not holds:
        return (table.c.subject == account_id) & (table.c.subject_kind == "account")
    return None


def _from_files(settings: ServerSettings, account_id: str, holding: Any, now: datetime) -> dict[str, int]:
    folder, out = settings.storage.state, output_folder(settings)
    has_state = state.exists(folder)
    if (out / store.RUN).exists() or has_state:
        return subjects.erase(out, account_id, holds=holding, today=now.date(), state=folder if has_state else None)
    return {}
