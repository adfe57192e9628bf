from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from stillwatch import rollups
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import ACCOUNTS, TRAITS, arrow_schema

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]


def exchange_traits(signals: IbisTable) -> IbisTable:
    return rollups.merged_traits(rollups.daily_traits(signals))


def keyed(table: IbisTable) -> dict[tuple[str, ...], tuple[Any, ...]]:
    found = table.to_pyarrow().to_pylist()
    result = {
        (row["account_id"], row["kind"], row["value"]): (row["exchanges"], row["first_seen_at"], row["last_seen_at"])
        for row in found
    }
    assert len(result) == len(found), "a key occurs twice"
    return result


def shown(row: Row) -> list[tuple[str, str]]:
    """Kind and value of everything one exchange shows, in plain Python."""
    single = {"ip": "client_ip", "ip_prefix": "client_ip_prefix"}
    numbers = {"system_prompt": "system_prompt_id", "metadata": "metadata_keys_id"}
    values = [(kind, row[column]) for kind, column in single.items() if row[column] is not None]
    values += [(kind, str(row[column])) for kind, column in numbers.items() if row[column] is not None]
    if row["user_agent"] is not None or row["tls_fingerprint"] is not None:
        values.append(("client", f"{row['user_agent'] or ''}\x1f{row['tls_fingerprint'] or ''}"))
    return values


def test_exchange_traits_equal_a_count_in_plain_python(signals: Table, rows: list[Row]) -> None:
    moments: dict[tuple[str, ...], list[datetime]] = defaultdict(list)
    for row in rows:
        for kind, value in shown(row):
            moments[(row["account_id"], kind, value)].append(row["started_at"])
    expected = {key: (len(seen), min(seen), max(seen)) for key, seen in moments.items()}
    assert keyed(exchange_traits(signals(rows))) == expected


def test_exchanges_that_show_nothing_have_no_traits(signals: Table, rows: list[Row]) -> None:
    bare = [{name: row[name] for name in ("exchange_id", "started_at", "account_id", "model")} for row in rows]
    assert keyed(exchange_traits(signals(bare))) == {}


ACCOUNT = {
    "account_id": "a1",
    "created_at": datetime(2026, 3, 2, 10, 59, tzinfo=UTC),
    "email_domain": "mail.example",
    "email_pattern": "a6d4",
    "email_hash": "e1",
    "phone_hash": "p1",
    "payment_fingerprint": "card",
    "device_fingerprint": "device",
    "signup_ip": "ip",
    "signup_ip_prefix": "net",
}


def account_traits(engine: EmbeddedEngine, rows: list[Row]) -> dict[tuple[str, ...], tuple[Any, ...]]:
    return keyed(rollups.account_traits(engine.memory(pa.Table.from_pylist(rows, arrow_schema(ACCOUNTS)))))


def test_an_account_shows_what_it_registered_with(engine: EmbeddedEngine) -> None:
    hour = int(ACCOUNT["created_at"].timestamp()) // 3600
    values = {
        "ip": "ip",
        "ip_prefix": "net",
        "payment": "card",
        "device": "device",
        "email": "e1",
        "phone": "p1",
        "email_domain": "mail.example",
        "email_pattern": "a6d4@mail.example",
        "signup_cohort": f"mail.example@{hour}",
    }
    once = (0, ACCOUNT["created_at"], ACCOUNT["created_at"])
    assert account_traits(engine, [ACCOUNT]) == {("a1", kind, value): once for kind, value in values.items()}


def test_an_account_that_registered_with_nothing_shows_nothing(engine: EmbeddedEngine) -> None:
    assert (
        account_traits(engine, [{"account_id": "a1"}, {"account_id": "a2", "created_at": ACCOUNT["created_at"]}]) == {}
    )


def test_an_address_is_the_same_trait_at_sign_up_and_in_traffic(
    engine: EmbeddedEngine, signals: Table, rows: list[Row]
) -> None:
    traffic = keyed(exchange_traits(signals([{**rows[0], "account_id": "a1", "client_ip": "ip"}])))
    assert ("a1", "ip", "ip") in traffic
    assert ("a1", "ip", "ip") in account_traits(engine, [ACCOUNT])


def test_country_and_plan_are_no_traits(engine: EmbeddedEngine) -> None:
    told = {**ACCOUNT, "signup_country": "XX", "plan": "gold", "organization_id": "firm"}
    assert account_traits(engine, [told]) == account_traits(engine, [ACCOUNT])


def test_traits_have_their_published_columns(engine: EmbeddedEngine, signals: Table, rows: list[Row]) -> None:
    found = exchange_traits(signals(rows)).to_pyarrow()
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == {
        field.name: field.type for field in arrow_schema(TRAITS)
    }
