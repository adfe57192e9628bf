from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stillwatch.errors import SettingsError
from stillwatch.ingest import load_field_map
from stillwatch.ingest.fieldmap import Names, value_at

TOML = """
account_id = "customer.id"
started_at = "request.ts"
prompt = "request.messages.0.content"
model = "gen_ai.request.model"
[constants]
access_path = "api"
[accounts]
account_id = "customer_id"
email = "contact"
[accounts.constants]
access_program = "paid"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(TOML)
    return path


def test_a_map_names_the_columns_of_both_tables(path: Path) -> None:
    found = load_field_map(path)
    assert found.exchanges.columns["account_id"] == "customer.id"
    assert found.exchanges.constants == {"access_path": "api"}
    assert found.accounts.columns == {"account_id": "customer_id", "email": "contact"}
    assert found.accounts.constants == {"access_program": "paid"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('acount_id = "x"', '"acount_id" is not one of our columns'),
        ('[constants]\nemail = "x"', '"email" is not one of our columns'),
        ('[accounts]\nprompt = "x"', '"accounts.prompt" is not one of our columns'),
        ("account_id = 3", '"account_id" must be the name of their field in quotes'),
        ('account_id = ""', '"account_id" must be the name of their field in quotes'),
        ("constants = 3", '"constants" must be a table'),
        ("accounts = 3", '"accounts" must be a table'),
        ("[constants]\nmodel = [1]", 'the constant "model" must be a text, a number or a time'),
        ("account_id = ", "is not TOML"),
    ],
)
def test_a_map_that_cannot_be_meant_stops_the_run_and_says_why(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"map\.toml") as caught:
        load_field_map(path)
    assert expected in str(caught.value)


def test_a_map_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_field_map(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", {"b": [10, {"c": 1}], "x.y": 2}),
        ("a.b.1.c", 1),
        ("a.b.0", 10),
        ("a.x.y", 2),
        ("a.b.9", None),
        ("a.b.c", None),
        ("a.q", None),
        ("d.e", 5),
        ("d.e.f", None),
        ("n.x", None),
        ("a.b.-1", None),
        ("a.b.99999999999999999999", None),
    ],
)
def test_dots_descend_unless_the_name_itself_has_them(name: str, expected: Any) -> None:
    assert value_at({"a": {"b": [10, {"c": 1}], "x.y": 2}, "d.e": 5, "n": None}, name) == expected


def test_names_that_are_not_mapped_keep_their_place() -> None:
    names = Names({"account_id": "who"})
    assert names.row({"who": "a", "prompt": "p"}) == {"who": "a", "account_id": "a", "prompt": "p"}


LINE = (
    '{"customer":{"id":"c1"},"request":{"ts":1772452800,"messages":[{"content":"hello"}]},"gen_ai.request.model":"m"}'
)


def test_a_map_reads_any_json(read: Any, path: Path) -> None:
    rows, rejected = read(LINE, field_map=load_field_map(path))
    assert not rejected
    assert rows[0]["account_id"] == "c1"
    assert rows[0]["started_at"] == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert (rows[0]["prompt"], rows[0]["model"], rows[0]["access_path"]) == ("hello", "m", "api")


def test_a_map_reads_any_csv(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('account_id = "Customer No"\nstarted_at = "at"')
    rows, rejected = read("Customer No;at;prompt\nc1;2026-03-02;hi\n", field_map=load_field_map(path))
    assert not rejected
    assert (rows[0]["account_id"], rows[0]["prompt"]) == ("c1", "hi")


def test_a_map_reads_any_parquet_with_nested_columns(read: Any, parquet: Any, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('account_id = "who.id"\nstarted_at = "a.b"\nprompt = "not.there"')
    file = parquet({"who": [{"id": "c1", "x": 1}], "a.b": [1772452800], "model": ["m"], "unread": [1]})
    rows, rejected = read(file, field_map=load_field_map(path))
    assert not rejected
    assert (rows[0]["account_id"], rows[0]["model"], rows[0]["prompt"]) == ("c1", "m", None)


def test_a_missing_account_is_told_under_their_name(read: Any, path: Path) -> None:
    _, rejected = read('{"request":{"ts":1772452800}}', field_map=load_field_map(path))
    assert rejected[0]["reason"] == "no account: looked for customer.id"


def test_a_constant_account_serves_a_batch_file(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[constants]\naccount_id = "acct-1"')
    line = '{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}\n'
    rows, rejected = read(
        line % 1 + line % 2 + line % 1, field_map=load_field_map(path), started_at=datetime(2026, 3, 2, tzinfo=UTC)
    )
    assert not rejected
    assert [row["account_id"] for row in rows] == ["acct-1"] * 3
    assert rows[0]["exchange_id"] == rows[2]["exchange_id"] != rows[1]["exchange_id"]
