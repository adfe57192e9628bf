"""Little to go by: the scan runs, says what it cannot judge, and accuses nobody."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.flow import planted, scans

from stillwatch.scan import Scanned

TEXTS = ("prompt", "system_prompt", "completion")


def without(*columns: str) -> list[planted.Row]:
    return [{**row, **dict.fromkeys(columns)} for row in planted.exchanges()]


def said(done: Scanned, words: str) -> bool:
    return any(words in text for text in done.run["not_judged"])


@pytest.fixture(scope="module")
def blind(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan of the planted world without any text."""
    folder = planted.write(tmp_path_factory.mktemp("blind") / "world", without(*TEXTS))
    return scans.scan(folder, folder / "out")


def test_without_text_nobody_is_accused_of_distillation(blind: Scanned) -> None:
    found = scans.verdicts(blind.campaigns)
    assert "distillation" not in found
    assert all("harvest" in found[verdict] for verdict in found.keys() & {"coordinated"})
    assert set(found.get("coordinated", {})) <= {"harvest"}


def test_without_text_common_control_is_still_seen(blind: Scanned) -> None:
    [campaign] = scans.with_verdict(blind.campaigns, "coordinated")
    assert len(campaign["account_ids"]) >= 0.8 * planted.HARVEST
    assert campaign["harvest"]["result"] == "not_tested"
    assert campaign["missing"]


def test_without_text_the_run_says_what_could_not_be_judged(blind: Scanned) -> None:
    assert said(blind, "no prompts")
    assert not said(blind, "No accounts")


def test_without_accounts_the_run_says_so_and_accuses_no_ordinary_person(world: Path, tmp_path: Path) -> None:
    done = scans.scan(world, tmp_path / "out", accounts=None)
    assert said(done, "No accounts were given")
    found = scans.verdicts(done.campaigns)
    assert not any("people" in accounts for accounts in found.values())
    assert "class" not in found.get("distillation", {})


def test_accounts_unknown_to_the_accounts_file_are_scanned_all_the_same(world: Path, tmp_path: Path) -> None:
    rows = [{**row, "account_id": f"other-{row['account_id']}"} for row in planted.accounts()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "accounts.parquet")
    done = scans.scan(world, tmp_path / "out", accounts=tmp_path / "accounts.parquet")
    assert done.run["counts"]["accounts"] == len({row["account_id"] for row in planted.exchanges()})
    assert not any(account.startswith("other-") for c in done.campaigns for account in c["account_ids"])
    assert said(done, "The accounts file knows 0 of the 674 accounts in the logs")


def assert_complete(out: Path, counts: Mapping[str, Any], exchanges: int) -> None:
    assert counts["exchanges"] == exchanges
    assert (out / "campaigns.json").read_text(encoding="utf-8").strip() == "[]"
    assert pq.read_table(out / "accounts.parquet").num_rows == 0
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "bundle.json").exists()


def test_an_empty_input_gives_an_empty_result_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "empty.jsonl").touch()
    done = scans.scan(tmp_path, tmp_path / "out", accounts=None)
    assert_complete(tmp_path / "out", done.run["counts"], 0)
    assert said(done, "no exchanges")


@pytest.mark.parametrize("columns", [(), TEXTS], ids=["with text", "without text"])
def test_three_exchanges_give_no_campaign_and_a_word_about_it(columns: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    planted.write_part(tmp_path / "logs" / "three.parquet", without(*columns)[:3])
    done = scans.scan(tmp_path, tmp_path / "out", accounts=None)
    assert_complete(tmp_path / "out", done.run["counts"], 3)
    assert said(done, "so few accounts")


def test_exchanges_with_nothing_but_account_and_time_are_enough_to_run(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rows = [{"account_id": f"a{n % 40}", "started_at": planted.STARTS_AT} for n in range(400)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "logs" / "bare.parquet")
    done = scans.scan(tmp_path, tmp_path / "out", accounts=None)
    assert done.campaigns == []
    assert said(done, "no prompts")
    assert said(done, "no client addresses")
    assert said(done, "no user agents")
