import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.errors import InputError
from stillwatch.ingest import Key, accounts, exchanges, load_field_map
from stillwatch.ingest.account_rows import email_parts
from stillwatch.records import ACCOUNTS, REJECTED, arrow_schema

ROWS = [
    {
        "account_id": "a1",
        "created_at": 1772452800,
        "email": "Anna.K1987@Example.com",
        "phone": "+1 415 555 0100",
        "signup_ip": "203.0.113.9",
        "payment_fingerprint": "card_x",
        "device_fingerprint": "dev_x",
        "access_program": "Free",
        "verification_level": "email",
        "verified_at": "2026-03-02T14:00:00+02:00",
        "signup_country": "NZ",
        "plan": "basic",
    },
    {"account_id": "a2", "access_program": "gold", "created_at": "soon", "email_hash": "ab" * 16},
    {"account_id": "", "email": "lost@example.com"},
]


def write(tmp_path: Path, rows: list[dict[str, Any]], form: str) -> Path:
    path = tmp_path / f"accounts.{form}"
    names = sorted({name for row in rows for name in row})
    texts = [{name: "" if row.get(name) is None else str(row[name]) for name in names} for row in rows]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(texts), path)
    elif form == "csv":
        lines = [",".join(names), *(",".join(row.values()) for row in texts)]
        path.write_text("\n".join(lines))
    else:
        path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return path


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl.gz"])
def test_accounts_are_read_from_every_form(tmp_path: Path, key: Key, form: str) -> None:
    table, rejected = accounts(write(tmp_path, ROWS, form), key=key)
    assert table.schema == arrow_schema(ACCOUNTS)
    assert rejected.schema == arrow_schema(REJECTED)
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    expected = {
        "account_id": "a1",
        "created_at": noon,
        "email_domain": "example.com",
        "email_pattern": "a4.a1d4",
        "email_hash": key.identifier("email", "anna.k1987@example.com"),
        "phone_hash": key.identifier("phone", "14155550100"),
        "payment_fingerprint": key.identifier("payment", "card_x"),
        "device_fingerprint": key.identifier("device", "dev_x"),
        "signup_ip": key.identifier("ip", "203.0.113.9"),
        "signup_ip_prefix": key.identifier("ip_prefix", "203.0.113.0/24"),
        "signup_country": "NZ",
        "access_program": "free",
        "verification_level": "email",
        "verified_at": noon,
        "plan": "basic",
        "organization_id": None,
    }
    assert table.to_pylist()[0] == expected
    second = table.to_pylist()[1]
    assert second["email_hash"] == key.identifier("email", "ab" * 16)
    assert (second["access_program"], second["created_at"]) == (None, None)
    assert sorted(
        (r["line"] - (form == "csv"), r["reason"].partition(":")[0].partition(" is")[0]) for r in rejected.to_pylist()
    ) == [
        (2, "access_program"),
        (2, "created_at"),
        (3, "no account"),
    ]
    assert "gold" not in str(rejected.to_pylist())


def test_addresses_meet_across_the_two_tables(tmp_path: Path, key: Key) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"exchange_id":"e","account_id":"a1","started_at":1772452800,"client_ip":"::ffff:203.0.113.9"}')
    row = next(iter(exchanges([log], key=key))).exchanges.to_pylist()[0]
    account = accounts(write(tmp_path, ROWS, "csv"), key=key)[0].to_pylist()[0]
    assert row["client_ip"] == account["signup_ip"]
    assert row["client_ip_prefix"] == account["signup_ip_prefix"]


def test_an_address_in_the_place_of_its_hash_is_treated_as_an_address(tmp_path: Path, key: Key) -> None:
    table, _ = accounts(
        write(tmp_path, [{"account_id": "a", "email_hash": "Bob7@x.org", "created_at": 1772452800}], "jsonl.gz"),
        key=key,
    )
    row = table.to_pylist()[0]
    assert (row["email_hash"], row["email_domain"], row["email_pattern"]) == (
        key.identifier("email", "bob7@x.org"),
        "x.org",
        "a3d1",
    )


def test_one_account_has_one_row_whatever_their_order(tmp_path: Path, key: Key) -> None:
    rows = [
        {"account_id": "a", "created_at": 1772452800, "plan": "old"},
        {"account_id": "a", "created_at": 1772452900, "plan": "new"},
        {"account_id": "a", "created_at": 1772452900, "plan": "new"},
        {"account_id": "b", "created_at": 1772452800, "plan": "x"},
        {"account_id": "a", "created_at": 1772452700, "verified_at": 1772452999, "plan": "verified"},
    ]
    for seed in range(6):
        shuffled = random.Random(seed).sample(rows, len(rows))
        table, rejected = accounts(write(tmp_path, shuffled, "jsonl.gz"), key=key)
        assert [(r["account_id"], r["plan"]) for r in table.sort_by("account_id").to_pylist()] == [
            ("a", "verified"),
            ("b", "x"),
        ]
        assert [r["reason"] for r in rejected.to_pylist()] == [
            "the account has another row that differs; its newest counts (2 such rows)"
        ]


def test_equal_rows_are_one_and_nothing_is_told(tmp_path: Path, key: Key) -> None:
    table, rejected = accounts(write(tmp_path, [ROWS[0], ROWS[0]], "csv"), key=key)
    assert (len(table), len(rejected)) == (1, 0)


def test_other_names_are_mapped(tmp_path: Path, key: Key) -> None:
    field_map = tmp_path / "map.toml"
    field_map.write_text(
        '[accounts]\naccount_id = "id"\nemail = "contact.mail"\n[accounts.constants]\naccess_program = "paid"\n'
    )
    path = tmp_path / "accounts.jsonl"
    path.write_text('{"id": "a", "contact": {"mail": "x1@y.z"}}\n{"contact": {}}')
    table, rejected = accounts(path, key=key, field_map=load_field_map(field_map))
    assert [(r["account_id"], r["email_pattern"], r["access_program"]) for r in table.to_pylist()] == [
        ("a", "a1d1", "paid")
    ]
    assert rejected.to_pylist()[0]["reason"] == "no account: looked for id"


def test_a_file_of_accounts_that_is_not_there_is_an_error(tmp_path: Path, key: Key) -> None:
    with pytest.raises(InputError, match="there is no accounts file"):
        accounts(tmp_path / "none.parquet", key=key)


def test_a_file_that_is_no_accounts_file_is_rejected(tmp_path: Path, key: Key) -> None:
    for name, content, expected in (
        ("bin", random.Random(1).randbytes(5_000), "a binary file"),
        ("foreign.csv", b"a,b\n1,2\n", "no column account_id"),
        ("cut.parquet", b"PAR1", "corrupt"),
    ):
        (tmp_path / name).write_bytes(content)
        table, rejected = accounts(tmp_path / name, key=key)
        assert len(table) == 0
        assert expected in rejected.to_pylist()[0]["reason"]


def test_an_empty_accounts_file_has_no_accounts(tmp_path: Path, key: Key) -> None:
    (tmp_path / "empty").write_text("")
    table, rejected = accounts(tmp_path / "empty", key=key)
    assert (len(table), len(rejected)) == (0, 0)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("abcdef1234@x.y", ("x.y", "a6d4")),
        ("a@b@C.D", ("c.d", "a1@a1")),
        ("a__b+c@x", ("x", "a1__a1+a1")),
        ("пётр7@x.рф", ("x.рф", "a4d1")),
        ("nobody", None),
        ("@x.y", None),
        ("x@", None),
        ("a1" * 40 + "@x", ("x", "a1d1" * 8)),
    ],
)
def test_the_shape_of_an_address(address: str, expected: tuple[str, str] | None) -> None:
    assert email_parts(address) == expected


@given(st.text(), st.text(min_size=1))
def test_the_shape_shows_no_letter_or_digit_of_the_address(local: str, domain: str) -> None:
    found = email_parts(f"{local}@{domain}")
    if found:
        rest = {c for c in found[1] if c.isalnum()}
        assert rest <= set("ad0123456789")
