import csv
import io
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEAD = "exchange_id,started_at,account_id,prompt\n"
AT = "2026-03-02T12:00:00Z"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_delimiter_is_told_from_the_header(read: Any, delimiter: str) -> None:
    rows, rejected = read(f'{HEAD}e1,{AT},a1,"one{delimiter} two"\n'.replace(",", delimiter))
    assert rejected == []
    assert rows[0]["prompt"] == f"one{delimiter} two"


def test_records_may_span_lines_and_are_numbered_by_their_first(read: Any) -> None:
    content = f'{HEAD}e1,{AT},a1,"one\n\nthree"\ne2,{AT},,x\n\ne3,{AT},a1\ne4,{AT},a1,"say ""hi"""\n'
    rows, rejected = read(content)
    assert [row["prompt"] for row in rows] == ["one\n\nthree", 'say "hi"']
    assert sorted((r["line"], r["reason"].partition(":")[0]) for r in rejected) == [
        (5, "no account"),
        (7, "3 fields where the header has 4"),
    ]


def test_bytes_that_are_no_utf8_nuls_and_carriage_returns_are_read(read: Any) -> None:
    content = b"\xef\xbb\xbf" + (HEAD + f"e1,{AT},a1,caf").replace("\n", "\r\n").encode() + b"\xe9 nul\0\r\n"
    rows, rejected = read(content)
    assert rejected == []
    assert rows[0]["prompt"] == "caf\ufffd nul\0"


def test_long_fields_are_read_and_endless_ones_rejected(read: Any) -> None:
    rows, rejected = read(HEAD + f"e1,{AT},a1,{'x' * 500_000}\ne2,{AT},a1,{'y' * (17 << 20)}\ne3,{AT},a1,z\n")
    assert [len(row["prompt"]) for row in rows] == [500_000, 1]
    assert [(r["line"], r["reason"]) for r in rejected] == [(3, "longer than 16 MB")]


def test_a_quote_that_never_closes_is_rejected_with_its_line(read: Any) -> None:
    rows, rejected = read(HEAD + f'e1,{AT},a1,x\ne2,{AT},a1,"never closed\n' + f"e3,{AT},a1,x\n" * 10)
    assert [row["exchange_id"] for row in rows] in (["e1"], ["e1", "e2"])
    assert len(rows) + len(rejected) >= 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(read: Any, prompts: list[str]) -> None:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(["exchange_id", "started_at", "account_id", "prompt"])
    writer.writerows([f"e{i}", AT, "a1", prompt] for i, prompt in enumerate(prompts))
    rows, rejected = read(made.getvalue())
    assert rejected == []
    assert [row["prompt"] for row in rows] == [prompt or None for prompt in prompts]
