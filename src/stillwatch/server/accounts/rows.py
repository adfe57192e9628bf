"""Accounts as they are told become rows: checked whole, identifiers hashed, merged with what was known.

Nothing plain gets past `told_rows`. What an update leaves out stays as it was; null empties a column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from fastapi import HTTPException

from stillwatch import ingest
from stillwatch.ingest.fieldmap import ACCOUNT_EXTRAS
from stillwatch.records import ACCOUNTS, VERIFICATION_LEVELS, arrow_schema
from stillwatch.server import audit
from stillwatch.server.access import Principal
from stillwatch.server.tables import accounts

MOST_ROWS, MOST_CHARS = 1000, 500
_FIELDS = frozenset((*ACCOUNTS.names, *ACCOUNT_EXTRAS))
# What a field of the request fills, where that is more or other than the column of its name.
_FILLS: Mapping[str, tuple[str, ...]] = {
    "email": ("email_hash", "email_domain", "email_pattern"),
    "phone": ("phone_hash",),
    "signup_ip": ("signup_ip", "signup_ip_prefix"),
}
_CHUNK = 500  # ids in one query


@dataclass(frozen=True, slots=True)
class Told:
    """What one request says of one account: the columns it fills, hashed; and what they hold."""

    account_id: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """An account as it stands after a request: its row, whether it is new, and what changed."""

    row: Mapping[str, Any]
    is_new: bool
    changed: tuple[str, ...]


def told_rows(document: Any, *, key: ingest.Key, principal: Principal) -> list[Told]:
    """The accounts of a request, identifiers hashed and ids in the principal's namespace.

    Raises:
        HTTPException: 422 with every fault, when there is one; it repeats no value.
    """
    told = document if isinstance(document, list) else [document]
    if not told or len(told) > MOST_ROWS:
        raise HTTPException(422, f"Give one account or a list of up to {MOST_ROWS}.")
    faults = [fault for i, row in enumerate(told) for fault in _faults(i, row)]
    if not faults:
        faults = _id_faults([principal.account_id(row["account_id"]) for row in told])
    if faults:
        raise HTTPException(422, "; ".join(faults[:20]))
    named = [{**row, "account_id": principal.account_id(row["account_id"])} for row in told]
    table, rejected = ingest.told_accounts(named, key=key)
    if rejected or len(table) != len(named):
        raise HTTPException(422, "; ".join(f"account {one.line}: {one.reason}" for one in rejected[:20]))
    return [_told(given, row) for given, row in zip(named, table.to_pylist(), strict=True)]


def _faults(index: int, row: Any) -> list[str]:
    if not isinstance(row, dict):
        return [f"account {index}: give an object"]
    unknown = sorted(set(row) - _FIELDS)
    if unknown:
        names = ", ".join(name[:40] if name.isprintable() else "(a name that does not print)" for name in unknown[:5])
        return [f"account {index}: no such field: {names}"]
    faults = [f"account {index}: {name}: {fault}" for name, value in row.items() if (fault := _fault(value))]
    account_id = row.get("account_id")
    if not isinstance(account_id, str) or not account_id.strip():
        faults.append(f"account {index}: account_id: give a text")
    return faults


def _id_faults(account_ids: Sequence[str]) -> list[str]:
    first = {account_id: i for i, account_id in reversed(list(enumerate(account_ids)))}
    faults = [f"account {i}: it stands here twice" for i, one in enumerate(account_ids) if first[one] != i]
    long = [i for i, one in enumerate(account_ids) if len(one) > MOST_CHARS]
    return faults + [f"account {i}: account_id: longer than {MOST_CHARS} characters with its namespace" for i in long]


def _fault(value: Any) -> str | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None
    if not isinstance(value, str) or len(value) > MOST_CHARS or not value.isprintable():
        return f"give a text of at most {MOST_CHARS} characters that print"
    return None


def _told(given: Mapping[str, Any], row: Mapping[str, Any]) -> Told:
    filled = {column for name in given for column in _filled(name, given[name])} - {"account_id"}
    return Told(row["account_id"], {name: row[name] for name in ACCOUNTS.names if name in filled})


def _filled(name: str, value: Any) -> tuple[str, ...]:
    if name == "email_hash" and isinstance(value, str) and "@" in value:  # the address itself; ingest takes it so, too
        return _FILLS["email"]
    return _FILLS.get(name, (name,))


def stored(
    connection: sa.Connection,
    told: Sequence[Told],
    *,
    proven: Mapping[str, str],
    by: str,
    now: datetime,
) -> list[Stored]:
    """Merge what was told into the table, each change audited; rows that say nothing new change nothing.

    `proven` is the level of the strongest check that each account has passed here: nobody's update goes below it.
    """
    audit.hold(connection)
    before = known_rows(connection, [one.account_id for one in told])
    done = [_merged(one, before.get(one.account_id), proven.get(one.account_id), now) for one in told]
    changed = [one for one in done if one.changed or one.is_new]
    sequence = connection.execute(sa.select(sa.func.max(accounts.c.sequence))).scalar() or 0
    rows = [{**one.row, "updated_at": now, "sequence": sequence + i} for i, one in enumerate(changed, start=1)]
    _write(connection, rows, {one.row["account_id"] for one in changed if one.is_new})
    for one in changed:
        audit.record(
            connection,
            at=now,
            principal=by,
            action="account.told" if one.is_new else "account.changed",
            subject=one.row["account_id"][:500],
            after={"columns": list(one.changed)},
        )
    return done


def known_rows(connection: sa.Connection, account_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows of these accounts, by id; columns as in `records.ACCOUNTS`."""
    found = {}
    asked = [account_id for account_id in account_ids if "\0" not in account_id]  # PostgreSQL takes no such text
    for start in range(0, len(asked), _CHUNK):
        ids = asked[start : start + _CHUNK]
        columns = [accounts.c[name] for name in ACCOUNTS.names]
        for row in connection.execute(sa.select(*columns).where(accounts.c.account_id.in_(ids))).mappings():
            found[row["account_id"]] = dict(row)
    return found


def account_rows(connection: sa.Connection) -> pa.Table:
    """Every account, as the table that a detection reads; columns as in `records.ACCOUNTS`, in order of id."""
    columns = [accounts.c[name] for name in ACCOUNTS.names]
    wanted = sa.select(*columns).order_by(accounts.c.account_id).execution_options(yield_per=10_000)
    rows = connection.execute(wanted)
    schema = arrow_schema(ACCOUNTS)
    batches = [
        pa.RecordBatch.from_pylist([dict(row) for row in part], schema=schema) for part in rows.mappings().partitions()
    ]
    return pa.Table.from_batches(batches, schema)


def raised(connection: sa.Connection, account_id: str, level: str, *, now: datetime) -> None:
    """Note in the account's row that it passed a check of that level; a level already higher stays.

    The caller audits what was passed.
    """
    audit.hold(connection)
    row = known_rows(connection, [account_id]).get(account_id)
    if row is not None and _rank(row["verification_level"]) > _rank(level):
        return
    values: dict[str, Any] = {"verification_level": level, "verified_at": now, "updated_at": now}
    sequence = (connection.execute(sa.select(sa.func.max(accounts.c.sequence))).scalar() or 0) + 1
    if row is None:
        connection.execute(accounts.insert().values(account_id=account_id, sequence=sequence, **values))
        return
    here = accounts.c.account_id == account_id
    connection.execute(accounts.update().where(here).values(sequence=sequence, **values))


def _merged(told: Told, before: Mapping[str, Any] | None, proven: str | None, now: datetime) -> Stored:
    old = before or {**dict.fromkeys(ACCOUNTS.names), "account_id": told.account_id}
    row = {**old, **told.values}
    if _rank(row["verification_level"]) < _rank(proven):
        row |= {"verification_level": proven, "verified_at": old["verified_at"] or now}
    changed = tuple(name for name in ACCOUNTS.names if row[name] != old[name])
    return Stored(row, before is None, changed)


def _rank(level: str | None) -> int:
    return VERIFICATION_LEVELS.index(level) if level else 0


def _write(connection: sa.Connection, rows: Sequence[Mapping[str, Any]], new: set[str]) -> None:
    added = [dict(row) for row in rows if row["account_id"] in new]
    if added:
        connection.execute(accounts.insert(), added)
    kept = [{**row, "this_account": row["account_id"]} for row in rows if row["account_id"] not in new]
    if kept:
        names = [name for name in kept[0] if name not in ("account_id", "this_account")]
        values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
        here = accounts.c.account_id == sa.bindparam("this_account")
        connection.execute(accounts.update().where(here).values(values), kept)
