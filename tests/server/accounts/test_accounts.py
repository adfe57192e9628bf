"""Accounts in: what is kept of them, who may tell of whom, and that a retold account changes nothing."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from stillwatch import ingest
from stillwatch.records import ACCOUNTS, arrow_schema
from stillwatch.server import Service, audit
from stillwatch.server.accounts import account_rows
from stillwatch.server.tables import accounts, metadata
from stillwatch.server.tables import audit as audit_table

PLAIN: dict[str, Any] = {
    "account_id": "a-1",
    "created_at": "2026-03-01T11:59:00Z",
    "organization_id": "org-1",
    "email": "Anna.K1987@Example.com",
    "phone": "+41 44 668 18 00",
    "payment_fingerprint": "card-93bf",
    "device_fingerprint": "device-77ad",
    "signup_ip": "203.0.113.77",
    "signup_country": "CH",
    "access_program": "paid",
    "verification_level": "email",
    "verified_at": "2026-03-01T11:59:30Z",
    "plan": "pro",
}
SECRETS = ("anna.k1987", "668 18 00", "446681800", "card-93bf", "device-77ad", "203.0.113")


def rows(service: Service) -> list[dict[str, Any]]:
    with service.database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(accounts)).mappings()]


def test_a_told_account_is_kept_as_a_file_of_it_would_be(service: Service, tell_account: Any, tmp_path: Any) -> None:
    path = tmp_path / "accounts.jsonl"
    path.write_text(json.dumps(PLAIN))
    tell_account(**PLAIN)
    with service.database.read() as connection:
        kept = account_rows(connection)
    assert kept.schema == arrow_schema(ACCOUNTS)
    assert kept == ingest.accounts(path, key=service.key)[0]


def test_nothing_plain_is_kept_or_repeated(service: Service, client: TestClient, key_for: Any, capfd: Any) -> None:
    answer = client.post("/v1/accounts", json=PLAIN, headers=key_for("ingest"))
    shown = client.get("/v1/accounts/a-1", headers=key_for("analyst"))
    wrong = client.post("/v1/accounts", json={**PLAIN, "email": [PLAIN["email"]]}, headers=key_for("ingest"))
    assert (answer.status_code, shown.status_code, wrong.status_code) == (200, 200, 422)
    with service.database.read() as connection:
        tables = [table for table in metadata.sorted_tables if table.name != "api_keys"]
        dumped = [str(dict(row)) for table in tables for row in connection.execute(sa.select(table)).mappings()]
    logged = capfd.readouterr()
    everything = "\n".join([*dumped, answer.text, shown.text, wrong.text, logged.out, logged.err]).lower()
    assert "example.com" in everything  # the domain is kept, so the search would find what is there
    assert [secret for secret in SECRETS if secret in everything] == []


def test_an_update_changes_what_it_tells_and_null_empties_it(service: Service, tell_account: Any) -> None:
    tell_account(**PLAIN)
    before = rows(service)[0]
    tell_account(plan="team", phone=None)
    after = rows(service)[0]
    assert (after["plan"], after["phone_hash"]) == ("team", None)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"plan", "phone_hash", "sequence"}
    tell_account(email="new@other.example")
    assert rows(service)[0]["email_domain"] == "other.example"
    assert rows(service)[0]["email_hash"] == service.key.identifier("email", "new@other.example")


def test_an_address_in_the_place_of_its_hash_fills_what_an_address_fills(service: Service, tell_account: Any) -> None:
    tell_account(email="first@one.example")
    tell_account(email_hash="second@two.example")
    assert rows(service)[0]["email_domain"] == "two.example"
    assert rows(service)[0]["email_hash"] == service.key.identifier("email", "second@two.example")


def test_telling_the_same_again_changes_and_audits_nothing(service: Service, tell_account: Any) -> None:
    first = tell_account(**PLAIN)
    before = rows(service)
    again = tell_account(**PLAIN)
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert rows(service) == before
    with service.database.read() as connection:
        acts = connection.execute(sa.select(audit_table.c.action)).scalars().all()
        assert audit.broken(connection) is None
    assert acts.count("account.told") == 1
    assert "account.changed" not in acts


def test_every_change_has_a_later_number(service: Service, client: TestClient, key_for: Any) -> None:
    headers = key_for("ingest")
    client.post("/v1/accounts", json=[{"account_id": name} for name in "abc"], headers=headers)
    client.post("/v1/accounts", json={"account_id": "b", "plan": "pro"}, headers=headers)
    numbers = {row["account_id"]: row["sequence"] for row in rows(service)}
    assert sorted(numbers, key=lambda name: numbers[name]) == ["a", "c", "b"]


def test_a_source_tells_only_of_accounts_in_its_namespace(service: Service, client: TestClient, key_for: Any) -> None:
    headers = key_for("ingest", namespace="web")
    answer = client.post("/v1/accounts", json={"account_id": "other:a-1", "plan": "x"}, headers=headers)
    assert answer.json()["account_id"] == "web:other:a-1"
    assert [row["account_id"] for row in rows(service)] == ["web:other:a-1"]
    assert client.get("/v1/accounts/web:other:a-1", headers=key_for("analyst")).status_code == 200
    assert client.get("/v1/accounts/other:a-1", headers=key_for("analyst", namespace="web")).status_code == 200
    assert client.get("/v1/accounts/other:a-1", headers=key_for("analyst", namespace="app")).status_code == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "Give one account or a list"),
        ([{"account_id": str(i)} for i in range(1001)], "Give one account or a list"),
        ("a", "account 0: give an object"),
        ({}, "account 0: account_id: give a text"),
        ({"account_id": 17}, "account 0: account_id: give a text"),
        ({"account_id": " "}, "account 0: account_id: give a text"),
        ({"account_id": "a\x00b"}, "account 0: account_id: give a text of at most 500"),
        ({"account_id": "a" * 501}, "account 0: account_id: give a text of at most 500"),
        ({"account_id": "a", "colour": "red"}, "account 0: no such field: colour"),
        ({"account_id": "a", "plan": {"x": 1}}, "account 0: plan: give a text"),
        ({"account_id": "a", "plan": True}, "account 0: plan: give a text"),
        ([{"account_id": "a"}, {"account_id": "a"}], "account 1: it stands here twice"),
        ({"account_id": "a", "access_program": "golden"}, "access_program is not one of free"),
        ({"account_id": "a", "created_at": "yesterday"}, "created_at is no usable time"),
    ],
)
def test_a_fault_is_told_and_nothing_is_kept(
    service: Service, client: TestClient, key_for: Any, body: Any, told: str
) -> None:
    answer = client.post("/v1/accounts", json=body, headers=key_for("ingest"))
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert rows(service) == []


def test_a_body_that_is_no_json_or_too_long_is_refused(client: TestClient, key_for: Any) -> None:
    headers = key_for("ingest")
    assert client.post("/v1/accounts", content=b"{", headers=headers).status_code == 400
    assert client.post("/v1/accounts", content=b"[" * 5_000_000, headers=headers).status_code == 413


def test_only_sources_tell_and_only_analysts_look(client: TestClient, key_for: Any) -> None:
    account = {"account_id": "a-1"}
    for role in ("analyst", "enforcer", "approver", "admin"):
        assert client.post("/v1/accounts", json=account, headers=key_for(role)).status_code == 403
    assert client.post("/v1/accounts", json=account).status_code == 401
    assert client.get("/v1/accounts/a-1", headers=key_for("ingest")).status_code == 403
    assert client.get("/v1/accounts/a-1", headers=key_for("analyst")).status_code == 404
    assert client.get("/v1/accounts/%00", headers=key_for("analyst")).status_code == 404


def test_accounts_are_the_same_in_every_database(
    database_url: str, tmp_path: Any, clock: Callable[[], datetime]
) -> None:
    from stillwatch.server import ServerSettings, application, opened
    from stillwatch.server.access import made_key
    from stillwatch.server.settings import Storing

    settings = ServerSettings(storage=Storing(state=tmp_path / "state", database=database_url))
    with opened(settings, now=clock) as held, TestClient(application(held)) as client:
        keys = [made_key(held.database, name=r, roles=[r], by="t", now=clock()) for r in ("ingest", "analyst")]
        source, analyst = ({"X-API-Key": key} for key in keys)
        many = [{"account_id": f"a-{i}", "email": f"n{i}@x.example", "signup_ip": "192.0.2.1"} for i in range(700)]
        assert client.post("/v1/accounts", json=many, headers=source).status_code == 200
        changed = client.post("/v1/accounts", json=[PLAIN, {"account_id": "a-7", "plan": "p"}], headers=source)
        assert [one["is_new"] for one in changed.json()["accounts"]] == [False, False]
        shown = client.get("/v1/accounts/a-1", headers=analyst).json()["account"]
        with held.database.read() as connection:
            table = account_rows(connection)
            assert audit.broken(connection) is None
    assert datetime.fromisoformat(shown["created_at"]) == clock() - timedelta(minutes=1)
    assert table.num_rows == 700
    assert table.column("account_id").to_pylist() == sorted(one["account_id"] for one in many)
