"""Accounts as the service was told of them: rows for the next detection, and the traits that a registration shows.

The table `accounts` belongs to another part; where it is missing, or lacks a column, nothing is known of it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from stillwatch import ingest
from stillwatch.records import ACCOUNTS, TIMESTAMP, arrow_schema
from stillwatch.server.tables import Moment

Trait = tuple[str, str]
CHUNK = 500  # accounts asked for in one statement
# Column of an account -> kind of the trait that it shows; identifiers are hashed already.
_SHOWN = {
    "signup_ip": "ip",
    "signup_ip_prefix": "ip_prefix",
    "payment_fingerprint": "payment",
    "device_fingerprint": "device",
    "email_hash": "email",
    "phone_hash": "phone",
}


def account_rows(connection: sa.Connection, account_ids: Collection[str] | None = None) -> pa.Table:
    """The accounts (all, or some) as in `records.ACCOUNTS`, identifiers hashed; empty when nobody told of any."""
    schema = arrow_schema(ACCOUNTS)
    columns = _columns(connection)
    if "account_id" not in columns:
        return schema.empty_table()
    table = sa.table("accounts", *columns.values())
    rows: list[dict[str, Any]] = []
    for chosen in _chosen(columns["account_id"], account_ids):
        rows += [dict(row) for row in connection.execute(sa.select(table).where(chosen)).mappings()]
    return pa.Table.from_pylist(rows, schema=schema).sort_by("account_id")


def registered_traits(accounts: pa.Table, key: ingest.Key) -> dict[str, list[Trait]]:
    """Kind and value of every trait that each registration shows, hashed as the links of a detection are."""
    return {row["account_id"]: list(_traits(row, key)) for row in accounts.to_pylist()}


def _columns(connection: sa.Connection) -> Mapping[str, sa.ColumnClause[Any]]:
    """The columns of `records.ACCOUNTS` that the table has."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("accounts"):
        return {}
    names = {column["name"] for column in inspector.get_columns("accounts")}
    kinds: dict[str, Any] = {c.name: Moment() if c.type == TIMESTAMP else sa.Text() for c in ACCOUNTS.columns}
    return {name: sa.column(name, kind) for name, kind in kinds.items() if name in names}


def _chosen(column: sa.ColumnClause[Any], account_ids: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    if account_ids is None:
        return [sa.true()]
    ids = sorted(account_id for account_id in account_ids if "\0" not in account_id)  # PostgreSQL takes no such text
    return [column.in_(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]


def _traits(row: Mapping[str, Any], key: ingest.Key) -> list[Trait]:
    shown = [(kind, row[name]) for name, kind in _SHOWN.items() if row[name] is not None]
    domain = row["email_domain"]
    if domain is None:
        return shown
    readable = {"email_domain": domain}
    if row["email_pattern"] is not None:
        readable["email_pattern"] = f"{row['email_pattern']}@{domain}"
    if row["created_at"] is not None:
        readable["signup_cohort"] = f"{domain}@{_hour(row['created_at'])}"
    return shown + [(kind, key.identifier(kind, value)) for kind, value in readable.items()]


def _hour(at: datetime) -> int:
    """Hours since 1970, as in the trait of a sign-up cohort."""
    return int(at.timestamp() // 3600)
