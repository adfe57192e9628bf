"""Holds as they are written by hand, and what an erasure leaves of a campaign."""

from datetime import date
from pathlib import Path

import pytest
from tests.test_recognised import EVERYBODY, found

from stillwatch import store
from stillwatch.errors import InputError, StoreError
from stillwatch.records import ACCOUNT_VERDICTS, HOLDS, LINKS, SEEN, arrow_schema
from stillwatch.subjects import erase, read_holds, record_verdict

TODAY = date(2026, 6, 30)


def holds(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "holds.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_holds_has_its_published_columns(tmp_path: Path) -> None:
    table = read_holds(holds(tmp_path, "until,account_id,reason,note\n2026-07-01,a,matter 1,x\n,b,matter 2,y\n"))
    assert tuple(table.column_names) == HOLDS.names
    assert table.to_pylist() == [
        {"account_id": "a", "reason": "matter 1", "until": "2026-07-01"},
        {"account_id": "b", "reason": "matter 2", "until": None},
    ]


def test_a_hold_without_a_column_for_its_end_is_open_ended(tmp_path: Path) -> None:
    table = read_holds(holds(tmp_path, "account_id,reason\na,matter 1\n"))
    assert table.to_pylist() == [{"account_id": "a", "reason": "matter 1", "until": None}]


def test_a_file_saved_by_a_spreadsheet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "holds.csv"
    path.write_bytes(b"\xef\xbb\xbfaccount_id,reason,until\r\na,matter 1,2026-07-01\r\n")
    assert read_holds(path)["account_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a,,2026-07-01", "line 3: account_id and reason"),
        (",matter,", "line 3: account_id and reason"),
        ("a,matter,next week", "line 3: until must be YYYY-MM-DD"),
        ("a,matter,2026-02-30", "line 3: until must be YYYY-MM-DD"),
    ],
)
def test_a_hold_that_cannot_be_read_is_named_by_its_line(line: str, why: str, tmp_path: Path) -> None:
    path = holds(tmp_path, f"account_id,reason,until\nok,matter,\n{line}\n")
    with pytest.raises(InputError, match=why):
        read_holds(path)


def test_a_file_without_the_columns_is_refused_even_when_it_has_no_rows(tmp_path: Path) -> None:
    for text in ("", "account,why\n"):
        with pytest.raises(InputError, match="line 1: the columns account_id and reason"):
            read_holds(holds(tmp_path, text))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder that says of itself that there was a scan, and has nothing else."""
    folder = tmp_path / "out"
    folder.mkdir()
    store.write_json(folder / store.RUN, {"key_id": "0123", "settings": {"tlp": "amber"}})
    return folder


def test_what_was_never_scanned_can_neither_be_judged_nor_erased(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there was no scan"):
        record_verdict(tmp_path, "a", "guilty", "because")
    with pytest.raises(StoreError, match="there was no scan"):
        erase(tmp_path, "a", holds=None, today=TODAY)


def test_an_output_folder_without_tables_is_an_error_that_names_them(out: Path) -> None:
    with pytest.raises(StoreError, match=r"accounts\.parquet"):
        erase(out, "a", holds=None, today=TODAY)


def test_the_hold_is_looked_at_before_anything_else(tmp_path: Path) -> None:
    path = holds(tmp_path, "account_id,reason,until\na,matter 1,\n")
    with pytest.raises(StoreError, match="under legal hold until further notice"):
        erase(tmp_path / "nowhere", "a", holds=read_holds(path), today=TODAY)


def test_an_account_that_bears_a_recognised_campaign_can_be_judged_and_is_erased_from_it(tmp_path: Path) -> None:
    run = {"counts": {}, "settings": {"tlp": "amber"}, "recognised": [], "not_judged": []}
    store.write_json(tmp_path / store.RUN, run)
    for name, table in ((store.ACCOUNTS, ACCOUNT_VERDICTS), (store.LINKS, LINKS), (store.SEEN, SEEN)):
        store.write_table(tmp_path / name, arrow_schema(table).empty_table())
    [one] = found(EVERYBODY[:6])
    store.write_json(tmp_path / store.RECOGNISED, [one])
    told = record_verdict(tmp_path, "a03", "innocent", "we asked", author="ada")
    assert (told["subject"], told["subject_kind"]) == ("a03", "account")
    with pytest.raises(InputError, match="bears none that is recognised"):
        record_verdict(tmp_path, "campaign--1", "innocent", "we asked", author="ada")
    assert erase(tmp_path, "a03", holds=None, today=TODAY)["recognised"] == 1
    [left] = store.read_recognised(tmp_path)
    assert left["account_ids"] == ["a00", "a01", "a02", "a04", "a05"]
    page = (tmp_path / store.REPORT).read_text(encoding="utf-8")
    assert "a04" in page
    assert "a03" not in page
