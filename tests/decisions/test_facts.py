from datetime import UTC, datetime

import pyarrow as pa

from stillwatch.decisions import AccountFacts, account_facts, newest_verdicts
from stillwatch.records import ACCOUNTS, LINKS, VERDICT_RECORDS, arrow_schema


def table(record: object, *rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(record))


def verdict(subject: str, kind: str, found: str, day: int) -> dict[str, object]:
    at = datetime(2026, 2, day, tzinfo=UTC)
    return {"subject": subject, "subject_kind": kind, "verdict": found, "because": "x", "author": "y", "decided_at": at}


def link(account_id: str, family: str, bits: float, durability: str) -> dict[str, object]:
    return {"account_id": account_id, "kind": family, "family": family, "value": "v", "account_count": 3,
            "weight_bits": bits, "durability": durability}  # fmt: skip


def test_without_tables_nothing_is_known() -> None:
    assert account_facts(["a"]) == {"a": AccountFacts()}


def test_facts_come_from_the_accounts_table() -> None:
    accounts = table(ACCOUNTS, {"account_id": "a", "access_program": "free", "verification_level": "phone"})
    found = account_facts(["a", "b"], accounts=accounts, compromised=["b"])
    assert found["a"] == AccountFacts("free", "phone")
    assert found["b"] == AccountFacts(role="compromised")


def test_the_newest_verdict_of_a_subject_counts_and_a_tie_acquits() -> None:
    verdicts = table(
        VERDICT_RECORDS,
        verdict("a", "account", "innocent", 3),
        verdict("a", "account", "guilty", 1),
        verdict("b", "account", "innocent", 1),
        verdict("b", "account", "guilty", 2),
        verdict("c", "account", "innocent", 1),
        verdict("c", "account", "guilty", 1),
        verdict("c-1", "campaign", "innocent", 1),
    )
    assert newest_verdicts(verdicts, "account") == {"a": "innocent", "b": "guilty", "c": "innocent"}
    assert newest_verdicts(verdicts, "campaign") == {"c-1": "innocent"}
    assert account_facts(["a"], verdicts=verdicts)["a"].analyst_verdict == "innocent"


def test_durability_is_that_of_the_accounts_own_links() -> None:
    links = table(
        LINKS,
        link("a", "content", 8.0, "high"),
        link("a", "network", 30.0, "low"),
        link("b", "network", 30.0, "low"),
        link("c", "content", 1.0, "high"),
        link("c", "payment", 2.5, "medium"),
    )
    found = account_facts(["a", "b", "c", "d"], links=links)
    assert {name: facts.durability for name, facts in found.items()} == {
        "a": "high",
        "b": "low",
        "c": "medium",
        "d": "low",
    }
