"""Traits of a sign-up are those that a detection makes of the same account."""

from typing import Any

import pyarrow as pa
import pytest

from stillwatch import rollups
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import ACCOUNTS, KINDS, arrow_schema
from stillwatch.server import Service
from stillwatch.server.access import Principal
from stillwatch.server.accounts.rows import told_rows
from stillwatch.server.accounts.traits import signup_traits
from stillwatch.shown import READABLE_KINDS

FULL: dict[str, Any] = {
    "account_id": "a-1",
    "created_at": "2026-03-01T11:59:59.999999Z",
    "email": "Anna.K1987@Example.com",
    "phone": "+41 44 668 18 00",
    "payment_fingerprint": "card-1",
    "device_fingerprint": "device-1",
    "signup_ip": "203.0.113.77",
}


@pytest.mark.parametrize("without", [None, *FULL, "all but the id"])
def test_they_equal_what_a_detection_makes_of_the_account(service: Service, without: str | None, tmp_path: Any) -> None:
    given = {name: value for name, value in FULL.items() if name != without or name == "account_id"}
    if without == "all but the id":
        given = {"account_id": "a-1"}
    told = told_rows(given, key=service.key, principal=Principal("t", frozenset()))[0]
    row = {**dict.fromkeys(ACCOUNTS.names), **told.values, "account_id": "a-1"}
    with EmbeddedEngine(tmp_path / "engine", memory_limit="200MB", threads=1) as engine:
        accounts = engine.memory(pa.Table.from_pylist([row], arrow_schema(ACCOUNTS)))
        table = rollups.account_traits(accounts).to_pyarrow()
    expected = {
        one["kind"]: service.key.identifier(one["kind"], one["value"])
        if one["kind"] in READABLE_KINDS
        else one["value"]
        for one in table.to_pylist()
    }
    assert signup_traits(row, service.key) == expected
    assert set(expected) <= set(KINDS)
