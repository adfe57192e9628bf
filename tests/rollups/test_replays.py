import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.rollups import replay_oracle

from stillwatch import rollups
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import ACCOUNTS, ARTEFACTS, REPLAYS, TRAITS, arrow_schema
from stillwatch.rollups.replays import MIN_INTRODUCTIONS, PUBLISHED_OWNERS

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]
STARTS_AT = datetime(2026, 7, 1, tzinfo=UTC)


def artefacts(signals: IbisTable) -> IbisTable:
    return rollups.merged_artefacts(rollups.daily_artefacts(signals))


def exchange(account: str, minute: int, *, issued: str = "", replayed: str = "", of: str | None = None) -> Row:
    """An exchange of that account; artefacts are single words."""
    return {
        "exchange_id": f"{account}-{minute}-{issued}-{replayed}",
        "started_at": STARTS_AT + timedelta(minutes=minute),
        "account_id": account,
        "organization_id": of,
        "model": "large",
        "reasoning_issued": issued.split() or None,
        "reasoning_replayed": replayed.split() or None,
    }


def handed_on(source: str, sender: str, count: int, *, start: int = 0, of: str | None = None) -> list[Row]:
    """`count` artefacts that `source` is issued one by one, each sent back by `sender` in an exchange of its own."""
    names = [f"{source}>{sender}:{number}" for number in range(count)]
    issue = [exchange(source, start + number, issued=name, of=of) for number, name in enumerate(names)]
    return issue + [exchange(sender, start + 100 + number, replayed=name, of=of) for number, name in enumerate(names)]


@pytest.fixture
def ledger(engine: EmbeddedEngine, signals: Table) -> Callable[..., list[Row]]:
    """The ledger of exchanges, and of accounts registered with an organisation."""

    def found(rows: list[Row], registered: dict[str, str] | None = None) -> list[Row]:
        accounts = [{"account_id": name, "organization_id": of} for name, of in (registered or {}).items()]
        known = engine.memory(pa.Table.from_pylist(accounts, arrow_schema(ACCOUNTS)))
        return list(rollups.replays(artefacts(signals(rows)), known).to_pyarrow().to_pylist())

    return found


def readings(rows: list[Row]) -> set[str]:
    return {row["reading"] for row in rows}


def test_artefacts_are_counted_per_account_and_direction(signals: Table, rows: list[Row]) -> None:
    found = artefacts(signals(rows)).to_pyarrow()
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == {
        field.name: field.type for field in arrow_schema(ARTEFACTS)
    }
    told = {(r["artefact"], r["account_id"], r["is_issued"]): r["exchanges"] for r in found.to_pylist()}
    expected: dict[tuple[str, str, bool], int] = {}
    for row in rows:
        for column, is_issued in (("reasoning_issued", True), ("reasoning_replayed", False)):
            for name in set(row[column] or []):
                key = (name, row["account_id"], is_issued)
                expected[key] = expected.get(key, 0) + 1
    assert told == expected


def test_reasoning_of_one_account_sent_back_by_another_is_carried(ledger: Callable[..., list[Row]]) -> None:
    found = ledger(handed_on("a", "b", MIN_INTRODUCTIONS))
    assert readings(found) == {"carried"}
    assert {(row["origin_account_id"], row["account_id"], row["was_issued"]) for row in found} == {("a", "b", True)}
    assert len(found) == MIN_INTRODUCTIONS


def test_resuming_ones_own_conversation_is_no_replay(ledger: Callable[..., list[Row]]) -> None:
    assert ledger(handed_on("a", "a", 50)) == []


@pytest.mark.parametrize("registered", [{"a": "firm", "b": "firm"}, {"a": "firm"}, {}])
def test_failover_between_accounts_of_one_organisation_is_no_replay(
    registered: dict[str, str], ledger: Callable[..., list[Row]]
) -> None:
    rows = handed_on("a", "b", 50, of=None if registered == {"a": "firm", "b": "firm"} else "firm")
    assert ledger(rows, registered) == []


def test_an_organisation_with_the_name_of_an_account_is_not_that_account(ledger: Callable[..., list[Row]]) -> None:
    assert readings(ledger(handed_on("a", "b", 5), {"b": "a"})) == {"carried"}


def test_one_long_conversation_from_a_friend_is_occasional(ledger: Callable[..., list[Row]]) -> None:
    names = " ".join(f"r{number}" for number in range(40))
    rows = [exchange("a", 0, issued=names), *(exchange("b", 10 + turn, replayed=names) for turn in range(20))]
    found = ledger(rows)
    assert readings(found) == {"occasional"}
    assert len(found) == 40


def test_a_transcript_that_many_strangers_paste_is_published_however_many_they_paste(
    ledger: Callable[..., list[Row]],
) -> None:
    rows = [exchange("author", n, issued=f"r{n}") for n in range(10)]
    rows += [exchange(f"s{s:02}", 20 + n, replayed=f"r{n}") for s in range(30) for n in range(10)]
    assert readings(ledger(rows)) == {"published"}


def test_published_artefacts_do_not_make_an_account_a_carrier(ledger: Callable[..., list[Row]]) -> None:
    rows = [exchange("author", n, issued=f"r{n}") for n in range(5)]
    rows += [exchange(f"s{s}", 20 + n, replayed=f"r{n}") for s in range(PUBLISHED_OWNERS) for n in range(5)]
    rows += handed_on("friend", "s0", MIN_INTRODUCTIONS - 1, start=60)
    assert {row["reading"] for row in ledger(rows) if row["origin_account_id"] == "friend"} == {"occasional"}


def test_many_accounts_of_one_company_do_not_publish_an_artefact(ledger: Callable[..., list[Row]]) -> None:
    rows = handed_on("a", "b", 5)
    rows += [exchange(f"staff{n}", 300 + n, replayed="a>b:0", of="firm") for n in range(PUBLISHED_OWNERS + 5)]
    assert {row["reading"] for row in ledger(rows) if row["account_id"] == "b"} == {"carried"}


def test_an_artefact_issued_before_the_logs_says_nothing_about_the_one_account_that_has_it(
    ledger: Callable[..., list[Row]],
) -> None:
    assert ledger([exchange("a", n, replayed=f"old{n}") for n in range(50)]) == []


def test_artefacts_issued_before_the_logs_are_shared_material_when_two_owners_send_them_back(
    ledger: Callable[..., list[Row]],
) -> None:
    rows = [exchange(who, start + n, replayed=f"old{n}") for who, start in (("a", 0), ("b", 60)) for n in range(5)]
    found = ledger(rows)
    assert readings(found) == {"carried"}
    assert {(row["origin_account_id"], row["account_id"], row["was_issued"]) for row in found} == {("a", "b", False)}


def test_the_ledger_has_its_published_columns(engine: EmbeddedEngine, signals: Table) -> None:
    known = engine.memory(arrow_schema(ACCOUNTS).empty_table())
    for rows in (handed_on("a", "b", 5), []):
        found = rollups.replays(artefacts(signals(rows)), known)
        assert dict(zip(found.to_pyarrow().schema.names, found.to_pyarrow().schema.types, strict=True)) == {
            field.name: field.type for field in arrow_schema(REPLAYS)
        }
        shown = rollups.replay_traits(found).to_pyarrow()
        assert {field.name: field.type for field in shown.schema} == {
            field.name: field.type for field in arrow_schema(TRAITS)
        }


def test_only_what_was_carried_becomes_a_trait_and_its_source_holds_it_too(
    engine: EmbeddedEngine, signals: Table
) -> None:
    names = " ".join(f"t{number}" for number in range(9))
    rows = handed_on("a", "b", 4) + handed_on("a", "c", 3, start=300)
    rows += [exchange("x", 0, issued=names), exchange("y", 9, replayed=names)]
    known = engine.memory(arrow_schema(ACCOUNTS).empty_table())
    ledger = rollups.replays(artefacts(signals(rows)), known)
    found = rollups.replay_traits(ledger).to_pyarrow().to_pylist()
    assert {(row["account_id"], row["kind"], row["value"], row["exchanges"]) for row in found} == {
        ("a", "artefact", "a", 0),
        ("b", "artefact", "a", 4),
        ("c", "artefact", "a", 3),
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_ledger_equals_one_in_plain_python(seed: int, ledger: Callable[..., list[Row]]) -> None:
    rng = random.Random(seed)
    names = [f"r{number}" for number in range(60)]
    accounts = [f"a{number}" for number in range(24)]
    registered = {name: rng.choice(("firm", "school")) for name in accounts[:4]}
    rows = []
    for number in range(200):
        who, issued, replayed = rng.choice(accounts), rng.sample(names, rng.randrange(2)), names[: 16 + seed * 3]
        sent = " ".join(rng.sample(replayed, rng.randrange(4)))
        of = rng.choice((None, "club", "alumni")) if who in accounts[4:9] else None
        rows.append(exchange(who, number // 2, issued=" ".join(issued), replayed=sent, of=of))
    unique = [{**row, "exchange_id": f"x{number}"} for number, row in enumerate(rows)]
    limits = {"published_owners": PUBLISHED_OWNERS, "introductions": MIN_INTRODUCTIONS}
    columns = ("origin_account_id", "was_issued", "exchanges", "first_at", "last_at", "reading")
    told = {(row["artefact"], row["account_id"]): tuple(row[c] for c in columns) for row in ledger(unique, registered)}
    expected = replay_oracle.ledger(unique, {**registered}, **limits)
    assert told == expected
    assert {row[-1] for row in expected.values()} == {"carried", "occasional", "published"}
