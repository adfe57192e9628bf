"""Stage tables from a few lines: who sent which template when, from where, and who stands behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from stillwatch.campaigns import Member, Sent, Tables
from stillwatch.engines.base import Engine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.linkage.evidence import COHESION_SCHEMA, EVIDENCE_SCHEMA
from stillwatch.records import ACCOUNTS, ACTIVITY, CLUSTERS, INTENTS, REPLAYS, arrow_schema

STARTS_AT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(slots=True)
class Logs:
    """Exchanges and accounts while they are written down."""

    exchanges: list[dict[str, Any]] = field(default_factory=list)
    accounts: list[dict[str, Any]] = field(default_factory=list)

    def open(self, ids: Iterable[str], **columns: Any) -> None:
        """Register accounts that all say the same."""
        self.accounts += [{"account_id": account_id, **columns} for account_id in ids]

    def send(
        self,
        account: str,
        template: int | None,
        count: int,
        *,
        asks: str = "",
        day: float = 0.0,
        place: str = "p",
        family: int | None = None,
    ) -> None:
        """Send `count` exchanges of ever new items from a day on, an hour apart."""
        for _ in range(count):
            number = len(self.exchanges)
            at = STARTS_AT + timedelta(days=day, minutes=10 * (number % 60), microseconds=number)
            self.exchanges.append(
                {
                    "exchange_id": number,
                    "account_id": account,
                    "started_at": at,
                    "model": "m",
                    "template_id": template,
                    "family_id": family,
                    "item_id": number,
                    "capability": "reasoning",
                    "intents": 1 << INTENTS.index(asks) if asks else 0,
                    "output_tokens": 4_000 if asks else 200,
                    "reasoning_tokens": 0,
                    "place": f"{place}/24",
                }
            )

    def tables(self, engine: Engine) -> Tables:
        """The stage tables, nobody linked."""
        return Tables(
            templated=engine.memory(pa.Table.from_pylist(self.exchanges, schema=TEMPLATED_SCHEMA)),
            activity=engine.memory(pa.Table.from_pylist(self._activity(), schema=arrow_schema(ACTIVITY))),
            accounts=pa.Table.from_pylist(self.accounts, schema=arrow_schema(ACCOUNTS)),
            members=arrow_schema(CLUSTERS).empty_table(),
            evidence=EVIDENCE_SCHEMA.empty_table(),
            cohesion=COHESION_SCHEMA.empty_table(),
            replays=engine.memory(arrow_schema(REPLAYS).empty_table()),
        )

    def sent(self) -> Sent:
        """Who sends which template, and who answers for whom."""
        counts: dict[tuple[str, int], int] = {}
        for row in self.exchanges:
            if row["template_id"] is not None:
                key = (row["account_id"], row["template_id"])
                counts[key] = counts.get(key, 0) + 1
        names: Sequence[str] = ("account_id", "organization_id", "access_program", "verification_level")
        people = [Member(*(row.get(name) for name in names)) for row in self.accounts]
        rows = [{"account_id": a, "template_id": t, "exchanges": n} for (a, t), n in counts.items()]
        schema = pa.schema([("account_id", pa.string()), ("template_id", pa.int64()), ("exchanges", pa.int64())])
        principals = {person.account_id: person.principal for person in people}
        return Sent(pa.Table.from_pylist(rows, schema=schema), principals)

    def _activity(self) -> list[dict[str, Any]]:
        return [
            {
                "account_id": row["account_id"],
                "hour_at": row["started_at"].replace(minute=0, second=0, microsecond=0),
                "model": row["model"],
                "capability": row["capability"],
                "exchanges": 1,
                "input_tokens": 10,
                "output_tokens": row["output_tokens"],
                "reasoning_tokens": 0,
            }
            for row in self.exchanges
        ]
