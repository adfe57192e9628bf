"""What a state holds, compaction, and an account that goes."""

import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.flow import planted, scans
from tests.state import worlds

from stillwatch.errors import StoreError
from stillwatch.subjects import erase, read_holds
from stillwatch.upkeep import compact, holdings, newest_day

TODAY = date(2026, 6, 1)


@pytest.fixture
def days(held: Path, tmp_path: Path) -> Path:
    """A state of the world, a batch a day."""
    return Path(shutil.copytree(held, tmp_path / "state"))


def test_compaction_changes_no_answer_and_makes_one_folder_of_a_week(
    days: Path, campaigns: bytes, tmp_path: Path
) -> None:
    before, rows = holdings(days), worlds.merged(days, tmp_path / "before")
    done = compact(days, memory_limit="200MB", threads=1)
    after = holdings(days)
    assert (done.before, done.after, after["folders"], after["batches"]) == (4, 1, 1, 4)
    assert after["bytes_per_million_exchanges"] < before["bytes_per_million_exchanges"]
    assert worlds.merged(days, tmp_path / "after") == rows
    worlds.detected(days, tmp_path / "out")
    assert (tmp_path / "out" / "campaigns.json").read_bytes() == campaigns
    assert compact(days, memory_limit="200MB", threads=1).after == 1


def test_merged_parts_are_of_the_types_of_their_batches_and_merge_again(days: Path, tmp_path: Path) -> None:
    before = types_of(days)
    compact(days, memory_limit="200MB", threads=1)
    assert types_of(days) == before
    assert all(len(found) == 1 for found in before.values())
    late = {"exchange_id": "late", "account_id": "a", "started_at": "2026-03-02T00:00:00Z"}
    again = tmp_path / "again.jsonl"
    again.write_text(json.dumps(late) + "\n")
    worlds.ingested(days, again)
    assert compact(days, memory_limit="200MB", threads=1).after == 1
    assert types_of(days) == before


def types_of(state: Path) -> dict[str, set[str]]:
    """The columns of every part, as each folder has them."""
    found: dict[str, set[str]] = {}
    for path in (state / "parts").glob("*/*.parquet"):
        found.setdefault(path.stem, set()).add(str(pq.read_schema(path).remove_metadata()))
    return found


def test_a_batch_that_went_into_a_week_is_still_known(days: Path, world: Path) -> None:
    compact(days, memory_limit="200MB", threads=1)
    assert worlds.ingested(days, world / "logs" / "day-2.parquet").was_known


def test_what_a_state_holds_is_said_as_a_table_and_as_json(held: Path) -> None:
    told = json.loads(scans.run("state", "show", "--state", held, "--format", "json").stdout)
    assert told["exchanges"] == len(planted.exchanges())
    assert (told["batches"], told["days"], told["first_day"], told["last_day"]) == (4, 4, "2026-03-02", "2026-03-05")
    assert set(told["bytes"]) == {
        *("accounts", "activity", "artefacts", "content", "rejected", "sessions", "traits"),
    }
    assert told["key_id"] in scans.run("state", "show", "--state", held).stdout
    assert newest_day(held) == (date(2026, 3, 5) - date(1970, 1, 1)).days


def test_without_a_state_every_command_says_how_to_make_one(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for words in (("detect", "--out", tmp_path / "out"), ("state", "show")):
        done = scans.run(*words, "--state", nowhere)
        assert done.returncode == 1
        assert f"there is no state in {nowhere}. Run `stillwatch ingest LOGS --state {nowhere}` first." in done.stderr
    assert not nowhere.exists()


def test_a_window_that_cannot_be_is_wrong_usage(held: Path, tmp_path: Path) -> None:
    flags = ("--days", 2, "--since", "2026-03-03")
    assert scans.run("detect", "--state", held, "--out", tmp_path / "out", *flags).returncode == 2


def test_an_erased_account_leaves_every_part_and_the_others_stay(days: Path, tmp_path: Path) -> None:
    account = "company-003"
    before = worlds.merged(days, tmp_path / "before")
    assert set(worlds.parts_with(days, account)) == {
        *("activity.parquet", "content.parquet", "sessions.parquet", "traits.parquet", "accounts.parquet"),
    }
    removed = erase(tmp_path / "out", account, holds=None, today=TODAY, state=days)
    assert removed["content of the state"] == planted.EXCHANGES["company"]
    assert worlds.parts_with(days, account) == []
    after = worlds.merged(days, tmp_path / "after")
    for name in worlds.ROLLUPS:
        gone = before[name] - after[name]
        assert after[name] - before[name] == {}
        assert all(account in row for row in gone)


def test_an_account_under_hold_stays_in_the_state_as_well(days: Path, tmp_path: Path) -> None:
    holds = tmp_path / "holds.csv"
    holds.write_text("account_id,reason,until\ncompany-003,a court order,2026-07-01\n", "utf-8")
    before = (days / "manifest.json").read_bytes()
    with pytest.raises(StoreError, match="legal hold"):
        erase(tmp_path / "out", "company-003", holds=read_holds(holds), today=TODAY, state=days)
    assert (days / "manifest.json").read_bytes() == before
    assert worlds.parts_with(days, "company-003") != []
