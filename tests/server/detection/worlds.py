"""A small world for the service: a planted harvest, three of whose accounts come later, and one public wording."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from tests.flow import planted
from tests.state import worlds

from stillwatch import ingest
from stillwatch.records import ACCOUNTS, SIGNALS, TIMESTAMP, arrow_schema
from stillwatch.server import ServerSettings
from stillwatch.server.database import Database
from stillwatch.server.detection.hands import Hands
from stillwatch.server.settings import Detecting, Storing
from stillwatch.server.tables import Moment
from stillwatch.settings import key_path, key_secret
from stillwatch.signals import signals

Row = dict[str, Any]
LATER = ("harvest-021", "harvest-022", "harvest-023")  # accounts of the harvest that begin after the first detection
PUBLIC = 2  # of planted.HARVEST_WORDINGS: ordinary people send it as well
PUBLIC_USERS = tuple(f"people-{number:03}" for number in range(400, 440))
PUBLIC_EXCHANGES = 4  # of each of them
VERIFIED = "harvest-000"  # has a contract, so that nobody can make it a member
CHANGED_AT = datetime(2026, 3, 1, tzinfo=UTC)


class Recorded:
    """Hands that only note what they are asked to do."""

    def __init__(self) -> None:
        self.reconciled: list[tuple[list[str], str]] = []
        self.attached: list[Row] = []
        self.told: list[tuple[str, str, Row]] = []

    @property
    def hands(self) -> Hands:
        return Hands(self._reconcile, self._attach, self._tell)

    def _reconcile(self, _connection: sa.Connection, campaigns: Any, *, now: datetime, policy_name: str) -> None:
        assert now.tzinfo is not None
        self.reconciled.append(([campaign["campaign_id"] for campaign in campaigns], policy_name))

    def _attach(self, _connection: sa.Connection, **told: Any) -> None:
        self.attached.append(told)

    def _tell(self, _connection: sa.Connection, kind: str, subject: str, facts: Row, *, now: datetime) -> None:
        assert now.tzinfo is not None
        self.told.append((kind, subject, facts))


def key() -> ingest.Key:
    return ingest.Key(key_secret(key_path()))


def settings(state: Path, *, database: str = "", **detection: Any) -> ServerSettings:
    """Settings of a service over a state."""
    return ServerSettings(
        storage=Storing(state=state, database=database),
        detection=Detecting(**{"every_s": 300.0, "threads": 1, "memory_limit": "500MB", **detection}),
    )


def early() -> list[Row]:
    """The traffic before the first detection."""
    rng = random.Random(9)
    rows = [row for row in planted.exchanges() if row["account_id"] not in LATER]
    sent: Counter[str] = Counter()
    for row in rows:
        if row["account_id"] in PUBLIC_USERS and sent[row["account_id"]] < PUBLIC_EXCHANGES:
            sent[row["account_id"]] += 1
            row["prompt"] = planted.HARVEST_WORDINGS[PUBLIC].format(item=sentence(rng))
    return rows


def registrations() -> list[Row]:
    """Registrations; one account of the harvest has a contract."""
    contract = {"organization_id": "firm-h", "access_program": "enterprise", "verification_level": "contract"}
    return [{**row, **contract} if row["account_id"] == VERIFIED else row for row in planted.accounts()]


def write(folder: Path) -> Path:
    """The early traffic and all registrations as files; the folder."""
    planted.write(folder, early())
    planted.write_accounts(folder, registrations())
    return folder


def take_in(world: Path, state: Path) -> Path:
    """The traffic as so many batches, newest first, without accounts; the state."""
    for path in sorted((world / "logs").iterdir(), reverse=True):
        worlds.ingested(state, path)
    return state


def know(database: Database, accounts: pa.Table) -> None:
    """Tell the service of accounts, in a table as the part that owns it makes it."""
    table = sa.Table("accounts", sa.MetaData(), *_columns())
    table.metadata.create_all(database.engine)
    rows = accounts.to_pylist()
    with database.write() as connection:
        start = connection.execute(sa.select(sa.func.max(table.c.sequence))).scalar() or 0
        told = [{**row, "updated_at": CHANGED_AT, "sequence": start + i} for i, row in enumerate(rows, start=1)]
        connection.execute(table.insert(), told)


def _columns() -> Iterable[sa.Column[Any]]:
    for column in ACCOUNTS.columns:
        kind = Moment() if column.type == TIMESTAMP else sa.String(600)
        yield sa.Column(column.name, kind, primary_key=column.name == "account_id")
    yield sa.Column("updated_at", Moment, nullable=False)
    yield sa.Column("sequence", sa.BigInteger, nullable=False)


def hashed(world: Path) -> pa.Table:
    """The registrations as the service keeps them."""
    return ingest.accounts(world / "accounts.parquet", key=key())[0]


def derived(rows: Sequence[Row], folder: Path) -> pa.Table:
    """Exchanges as the derived signals that intake hands to observers."""
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    numbered = [{"exchange_id": f"y-{i}", "completion": None, **row} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(numbered, schema=pa.schema(list(planted.COLUMNS.items()))), path)
    batches = ingest.exchanges([path], key=key(), input_format="parquet")
    return pa.Table.from_batches([signals(batch.exchanges, arrow_schema(SIGNALS)) for batch in batches])


def exchange(account_id: str, prompt: str, address: str, **more: Any) -> Row:
    """One exchange."""
    row = {"account_id": account_id, "prompt": prompt, "client_ip": address, "user_agent": "browser/1"}
    moment = {"started_at": planted.STARTS_AT, "organization_id": None, "model": "large", "system_prompt": None}
    return {**row, **moment, "turn_count": 1, "input_tokens": 100, "output_tokens": 100, **more}


def sentence(rng: random.Random) -> str:
    """An item that nobody has sent before."""
    return " ".join(rng.choice(planted.WORDS) for _ in range(25))
