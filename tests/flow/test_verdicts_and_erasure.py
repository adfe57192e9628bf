"""What people say is read by the next scan, and what must go goes from every file."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.flow import planted, scans

from stillwatch import store
from stillwatch.errors import InputError, StoreError
from stillwatch.explanations import explain
from stillwatch.scan import Scanned
from stillwatch.subjects import erase, read_holds, record_verdict

ERASED = "harvest-007"
TODAY = date(2026, 6, 30)


@pytest.fixture
def out(scanned: tuple[Path, Scanned], tmp_path: Path) -> Path:
    """A copy of a scan's output that a test may write to."""
    return Path(shutil.copytree(scanned[0], tmp_path / "out"))


def harvest(campaigns: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [campaign for campaign in campaigns if "harvest-000" in campaign["account_ids"]]
    return found


def holds(tmp_path: Path, until: str) -> Path:
    path = tmp_path / "holds.csv"
    path.write_text(f"account_id,reason,until\n{ERASED},matter 12/26,{until}\n", encoding="utf-8")
    return path


def test_innocent_on_a_campaign_explains_it_in_every_later_scan(out: Path, world: Path) -> None:
    before = harvest(store.read_campaigns(out))
    assert before["verdict"] == "distillation"
    assert before["recommended_decisions"]
    record_verdict(out, before["campaign_id"], "innocent", "a red team of ours", author="ada")
    for _ in range(2):
        after = harvest(scans.scan(world, out).campaigns)
        assert (after["campaign_id"], after["verdict"]) == (before["campaign_id"], "explained")
        assert after["recommended_decisions"] == []
        assert any(h["name"] == "analyst verdict" and h["survives"] for h in after["benign_hypotheses"])


def test_a_newer_guilty_takes_innocent_back(out: Path, world: Path) -> None:
    campaign_id = harvest(store.read_campaigns(out))["campaign_id"]
    record_verdict(out, campaign_id, "innocent", "looked fine", author="ada")
    record_verdict(out, campaign_id, "guilty", "looked again", author="ada")
    assert harvest(scans.scan(world, out).campaigns)["verdict"] == "distillation"


def test_guilty_on_an_account_keeps_it_in_its_campaign_with_a_decision(out: Path, world: Path) -> None:
    record_verdict(out, ERASED, "guilty", "traced the card", author="ada")
    campaign = harvest(scans.scan(world, out).campaigns)
    assert (campaign["verdict"], ERASED in campaign["account_ids"]) == ("distillation", True)
    assert any(ERASED in decision["account_ids"] for decision in campaign["recommended_decisions"])


def test_innocent_on_an_account_ends_the_matter_for_that_account_only(out: Path, world: Path) -> None:
    record_verdict(out, ERASED, "innocent", "stolen key, replaced", author="ada")
    campaign = harvest(scans.scan(world, out).campaigns)
    decided = {account for decision in campaign["recommended_decisions"] for account in decision["account_ids"]}
    assert campaign["verdict"] == "distillation"
    assert decided == set(campaign["account_ids"]) - {ERASED}


@pytest.mark.parametrize("because", ["", "  \n"])
def test_a_verdict_without_grounds_is_refused(because: str, out: Path) -> None:
    with pytest.raises(InputError, match="--because is empty"):
        record_verdict(out, ERASED, "guilty", because)
    assert not (out / store.VERDICTS).exists()


def test_a_verdict_on_something_unknown_is_refused(out: Path) -> None:
    with pytest.raises(InputError, match="c-000000000000 is no campaign"):
        record_verdict(out, "c-000000000000", "guilty", "a slip of the keyboard")


def test_grounds_may_hold_any_character_and_are_read_back_whole(out: Path) -> None:
    because = 'line\u2028separators, "quotes", \x85, <b>, \x1b[31m and\nbreaks'
    record_verdict(out, ERASED, "guilty", because, author="ada")
    [row] = store.read_verdicts(out).to_pylist()
    assert row["because"] == because


@pytest.mark.parametrize(
    "line", ["{broken", "[]", "{}", '{"decided_at": "2026-01-01T00:00:00+00:00"}', '{"subject": "a", "verdict": "x"}']
)
def test_a_damaged_verdict_stops_the_scan_and_is_named(line: str, out: Path, world: Path) -> None:
    record_verdict(out, ERASED, "guilty", "traced the card", author="ada")
    before = (out / store.CAMPAIGNS).read_bytes()
    with (out / store.VERDICTS).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(StoreError, match=r"verdicts\.jsonl, line 2 is no verdict"):
        scans.scan(world, out)
    assert (out / store.CAMPAIGNS).read_bytes() == before


def test_an_erased_account_is_in_no_file_any_more(out: Path) -> None:
    record_verdict(out, ERASED, "guilty", "traced the card", author="ada")
    record_verdict(out, "harvest-008", "guilty", "traced the card", author="ada")
    (out / f".{store.CAMPAIGNS}.partial").write_text(ERASED, encoding="utf-8")  # as a killed run would leave it
    removed = erase(out, ERASED, holds=None, today=TODAY)
    links = removed.pop("links")
    assert removed == {"campaigns": 1, "known campaigns": 1, "recognised": 0, "accounts": 1, "seen": 1, "verdicts": 1}
    assert links > 0
    for path in out.iterdir():
        assert ERASED.encode() not in path.read_bytes(), path.name
    for name in (store.ACCOUNTS, store.LINKS, store.SEEN):
        assert ERASED not in pq.read_table(out / name)["account_id"].to_pylist()
    assert [row["subject"] for row in store.read_verdicts(out).to_pylist()] == ["harvest-008"]


def test_an_erased_account_is_unknown_to_explain_and_the_others_are_not(out: Path) -> None:
    erase(out, ERASED, holds=None, today=TODAY)
    with pytest.raises(InputError, match=rf"saw no account {ERASED}.*an account that was erased is unknown too"):
        explain(out, ERASED)
    assert explain(out, "harvest-008").membership is not None


def test_explain_shows_the_grounds_of_a_verdict_without_other_accounts(out: Path) -> None:
    record_verdict(out, "harvest-008", "guilty", f"shares a desk with {ERASED}.", author="ada")
    [opinion] = explain(out, "harvest-008").opinions
    assert opinion.because == "shares a desk with (another account)."


def test_erasing_leaves_the_rest_as_it_was(out: Path, scanned: tuple[Path, Scanned]) -> None:
    erase(out, ERASED, holds=None, today=TODAY)
    campaign = harvest(store.read_campaigns(out))
    before = harvest(scanned[1].campaigns)
    assert campaign["account_ids"] == [account for account in before["account_ids"] if account != ERASED]
    assert campaign["evidence"] == before["evidence"]
    assert pq.read_table(out / store.ACCOUNTS).num_rows == pq.read_table(scanned[0] / store.ACCOUNTS).num_rows - 1
    assert "harvest-008" in (out / store.REPORT).read_text(encoding="utf-8")


def test_erasing_keeps_the_marking_of_the_bundle(world: Path, tmp_path: Path) -> None:
    scans.scan(world, tmp_path / "out", tlp="red")
    erase(tmp_path / "out", ERASED, holds=None, today=TODAY)
    bundle = json.loads((tmp_path / "out" / store.BUNDLE).read_text(encoding="utf-8"))
    assert {thing["name"] for thing in bundle["objects"] if thing["type"] == "marking-definition"} == {"TLP:RED"}


@pytest.mark.parametrize("until", ["", "2026-06-30", "2027-01-01"])
def test_an_account_under_hold_is_not_erased(until: str, out: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(StoreError, match=r"legal hold .*matter 12/26.*nothing was erased"):
        erase(out, ERASED, holds=read_holds(holds(tmp_path, until)), today=TODAY)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_after_the_last_day_of_its_hold_it_is_erased(out: Path, tmp_path: Path) -> None:
    assert erase(out, ERASED, holds=read_holds(holds(tmp_path, "2026-06-29")), today=TODAY)["accounts"] == 1


def test_a_hold_on_another_account_is_no_hold(out: Path, tmp_path: Path) -> None:
    assert erase(out, "harvest-008", holds=read_holds(holds(tmp_path, "")), today=TODAY)["accounts"] == 1


def test_a_scan_of_logs_that_still_hold_the_account_finds_it_again(out: Path, world: Path) -> None:
    erase(out, ERASED, holds=None, today=TODAY)
    campaign = harvest(scans.scan(world, out).campaigns)
    assert len(campaign["account_ids"]) == planted.HARVEST
