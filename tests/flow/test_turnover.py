"""Campaigns keep their identity from day to day, and what takes over from a banned pool of accounts is linked to it."""

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from tests.flow import planted, scans

from stillwatch import schemas, store
from stillwatch.errors import InputError
from stillwatch.explanations import explain, text
from stillwatch.subjects import erase, record_verdict

Row = dict[str, Any]
LATER = timedelta(days=planted.DAYS)
OTHER_WORDINGS = (
    "Translate nothing and summarise nothing: for the function given below write a complete suite of unit tests that "
    "covers each branch, then explain in a list which branch every single test covers. Function: {item}",
    "Read the source of the module that follows, list all defects you can find in it ordered by severity, and give a "
    "corrected version of the whole module in one fenced block. Module: {item}",
)


def second_accounts() -> list[Row]:
    """Registrations of all, and of a second pool with cards and devices of its own."""
    pool = [row for row in planted.accounts() if planted.segment_of(row["account_id"]) == "harvest"]
    renamed = [
        {
            **row,
            "account_id": _second(row["account_id"]),
            "payment_fingerprint": f"card-s{number % 3}",
            "device_fingerprint": f"device-s{number % 4}",
        }
        for number, row in enumerate(pool)
    ]
    return [*planted.accounts(), *renamed]


def second_window(*, wordings: tuple[str, ...] = planted.HARVEST_WORDINGS) -> list[Row]:
    """The four days after: everybody goes on, but other accounts do the harvest's work, from other addresses."""
    rng = random.Random(8)
    rows = []
    for row in planted.exchanges(seed=6):
        later = {**row, "exchange_id": f"later-{row['exchange_id']}", "started_at": row["started_at"] + LATER}
        if planted.segment_of(row["account_id"]) == "harvest":
            item = row["prompt"].partition(": ")[2]
            later["account_id"] = _second(row["account_id"])
            later["client_ip"] = f"198.18.{100 + rng.randrange(6)}.7"
            later["prompt"] = rng.choice(wordings).format(item=item)
        rows.append(later)
    return rows


def _second(account_id: str) -> str:
    return account_id.replace("harvest", "second")


def without(rows: list[Row], *segments: str) -> list[Row]:
    return [row for row in rows if planted.segment_of(row["account_id"]) not in segments]


def logs(folder: Path, rows: list[Row], *, files: int = 2) -> Path:
    """A folder of logs with the accounts of both windows beside it."""
    planted.write(folder, rows, files=files)
    planted.write_accounts(folder, second_accounts())
    return folder


def holding(out: Path, account_id: str) -> dict[str, Any]:
    [found] = [campaign for campaign in store.read_campaigns(out) if account_id in campaign["account_ids"]]
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a scan of the first window; not to be written to."""
    folder = tmp_path_factory.mktemp("first")
    scans.scan(logs(folder / "world", planted.exchanges()), folder / "out")
    return folder / "out"


@pytest.fixture
def out(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "out"))


@pytest.fixture(scope="module")
def succeeded(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a scan of the second window after the first; not to be written to."""
    folder = tmp_path_factory.mktemp("succeeded")
    out = Path(shutil.copytree(first, folder / "out"))
    scans.scan(logs(folder / "world", second_window()), out)
    return out


def test_ids_stay_while_days_are_added_and_members_come_and_go(tmp_path: Path) -> None:
    rows = [row for row in planted.exchanges() if row["account_id"] not in ("harvest-000", "harvest-001")]
    started = planted.STARTS_AT
    days = [row for row in rows if row["started_at"] < started + timedelta(days=3)]
    early = [row for row in days if row["account_id"] not in ("harvest-022", "harvest-023")]
    scans.scan(logs(tmp_path / "three", early), tmp_path / "out")
    before = holding(tmp_path / "out", "harvest-010")
    scans.scan(logs(tmp_path / "four", without(rows, "nobody")), tmp_path / "out")
    after = holding(tmp_path / "out", "harvest-010")
    assert after["campaign_id"] == before["campaign_id"]
    assert set(after["account_ids"]) - set(before["account_ids"]) == {"harvest-022", "harvest-023"}


def test_the_successor_of_a_banned_pool_is_linked_with_the_marks_that_agree(first: Path, succeeded: Path) -> None:
    banned, successor = holding(first, "harvest-000"), holding(succeeded, "second-000")
    assert successor["campaign_id"] != banned["campaign_id"]
    [kin] = successor["lineage"]
    assert (kin["campaign_id"], kin["relation"]) == (banned["campaign_id"], "displaced_from")
    assert "of the wordings of the smaller of the two recur" in kin["because"]
    assert "its accounts began" in kin["because"]
    Draft202012Validator(schemas.schema("campaigns")).validate(store.read_campaigns(succeeded))


def test_the_displacement_is_measured_and_told(first: Path, succeeded: Path) -> None:
    [moved] = holding(succeeded, "second-000")["displacement"]
    assert moved["from_campaign_id"] == holding(first, "harvest-000")["campaign_id"]
    assert moved["accounts_stopped"] == moved["accounts_that_took_over"] == planted.HARVEST
    assert moved["delay_hours"] <= 6
    assert moved["regained_share"] == pytest.approx(1, abs=0.1)
    report = (succeeded / store.REPORT).read_text(encoding="utf-8")
    assert "had stopped together; 24 began" in report
    shown = scans.run("campaigns", "show", holding(succeeded, "second-000")["campaign_id"], "--out", succeeded)
    assert json.loads(shown.stdout)["displacement"] == [moved]


def test_the_same_scan_again_changes_nothing(succeeded: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(succeeded, tmp_path / "out"))
    scans.scan(logs(tmp_path / "world", second_window(), files=3), out)
    for name in (store.CAMPAIGNS, store.KNOWN):
        assert (out / name).read_text(encoding="utf-8") == (succeeded / name).read_text(encoding="utf-8")


def test_an_unrelated_campaign_that_begins_when_another_stops_has_no_lineage(out: Path, tmp_path: Path) -> None:
    scans.scan(logs(tmp_path / "world", second_window(wordings=OTHER_WORDINGS)), out)
    assert holding(out, "second-000")["lineage"] == []
    assert holding(out, "second-000")["displacement"] == []


def test_lineage_survives_a_run_in_which_the_campaign_was_not_found(out: Path, succeeded: Path, tmp_path: Path) -> None:
    quiet = without([{**row, "started_at": row["started_at"] + LATER} for row in planted.exchanges()], "harvest")
    scans.scan(logs(tmp_path / "quiet", quiet), out)
    assert not [c for c in store.read_campaigns(out) if "harvest-000" in c["account_ids"]]
    later = [{**row, "started_at": row["started_at"] + LATER} for row in second_window()]
    scans.scan(logs(tmp_path / "later", later), out)
    [kin] = holding(out, "second-000")["lineage"]
    assert kin["campaign_id"] == holding(succeeded, "second-000")["lineage"][0]["campaign_id"]
    assert kin["relation"] == "displaced_from"


def test_a_cleared_campaign_is_still_cleared_after_a_run_without_it(out: Path, tmp_path: Path) -> None:
    record_verdict(out, holding(out, "harvest-000")["campaign_id"], "innocent", "a red team of ours", author="ada")
    scans.scan(logs(tmp_path / "quiet", without(planted.exchanges(), "harvest")), out)
    scans.scan(logs(tmp_path / "again", planted.exchanges()), out)
    assert holding(out, "harvest-000")["verdict"] == "explained"


def test_an_incremental_run_equals_a_full_one_given_the_same_past(out: Path, first: Path, tmp_path: Path) -> None:
    """One file in order, or nine in disorder with rows shuffled: campaigns, accounts, links and memory are the same."""
    record_verdict(out, "harvest-003", "innocent", "stolen key, replaced", author="ada")
    other = Path(shutil.copytree(out, tmp_path / "other"))
    rows = [*planted.exchanges(), *second_window()]
    scans.scan(logs(tmp_path / "full", rows, files=1), out)
    shuffled = random.Random(3).sample(rows, len(rows))
    parts = logs(tmp_path / "parts", shuffled, files=9)
    for number, path in enumerate(sorted((parts / "logs").iterdir(), reverse=True)):
        path.rename(path.with_name(f"{number:02}-again.parquet"))
    scans.scan(parts, other, threads=1)
    for name in (store.CAMPAIGNS, store.KNOWN):
        assert (out / name).read_text(encoding="utf-8") == (other / name).read_text(encoding="utf-8")
    for name in (store.ACCOUNTS, store.LINKS, store.SEEN):
        assert _sorted(pq.read_table(out / name)) == _sorted(pq.read_table(other / name))
    assert store.read_campaigns(out) != store.read_campaigns(first)


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by(
        [(name, "ascending") for name in table.column_names if name in ("account_id", "kind", "value")]
    )


def test_explain_says_from_whom_a_campaign_took_over_and_when_a_banned_account_was_last_active(
    first: Path, succeeded: Path
) -> None:
    banned = holding(first, "harvest-000")["campaign_id"]
    words = " ".join(text(explain(succeeded, "second-000")).split())
    assert f"Other accounts stopped and these took over from them, in campaign {banned}: " in words
    with pytest.raises(InputError, match=rf"It was in campaign {banned} \(distillation\) and was last active on 5 Mar"):
        explain(succeeded, "harvest-000")


def test_an_erased_account_is_forgotten_by_dormant_campaigns_too(succeeded: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(succeeded, tmp_path / "out"))
    assert b"harvest-007" in (out / store.KNOWN).read_bytes()
    removed = erase(out, "harvest-007", holds=None, today=planted.STARTS_AT.date())
    assert removed["known campaigns"] == 1
    assert b"harvest-007" not in (out / store.KNOWN).read_bytes()
    Draft202012Validator(schemas.schema("known_campaigns")).validate(store.read_known(out))


def test_what_is_remembered_holds_no_text_and_no_raw_identifier(succeeded: Path) -> None:
    content = (succeeded / store.KNOWN).read_text(encoding="utf-8")
    for private in ("thinking", "198.18.", "card-", "device-", "python-requests"):
        assert private not in content
    Draft202012Validator(schemas.schema("known_campaigns")).validate(json.loads(content))
