"""Ablations: each drops the columns of its family and nothing else, and the table says what was lost."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bench.ablations.__main__ import table
from bench.ablations.drop import ACCOUNTS, DROPPED, EXCHANGES, FAMILIES, without
from tests.bench.worlds import Log, write_truth


@pytest.fixture
def world(tmp_path: Path) -> Path:
    log, folder = Log(), tmp_path / "world"
    folder.mkdir()
    for second in range(50):
        log.add("one", 3600 + 60 * second, "Say hello.", client_ip="192.0.2.1", system_prompt="Be kind.")
    log.world(folder)
    write_truth(folder, hostile=[], legitimate=["one"])
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_gone_and_the_rest_is_as_it_was(family: str, world: Path, tmp_path: Path) -> None:
    left = without(family, world, tmp_path / "left", seed=1)
    for name, path in ((EXCHANGES, "exchanges/2026-03-02.parquet"), (ACCOUNTS, "accounts.parquet")):
        before, after = pq.read_table(world / path), pq.read_table(left / path)
        gone = set(DROPPED[family].get(name, ()))
        moved = {"started_at"} if family == "timing" and name == EXCHANGES else set()
        assert after.column_names == before.column_names
        assert all(after[column].null_count == after.num_rows for column in gone)
        kept = [column for column in before.column_names if column not in gone | moved]
        assert after.select(kept).equals(before.select(kept))
    assert (left / "truth.parquet").is_file()


def test_without_timing_the_day_stays_and_the_moments_are_spread_over_it(world: Path, tmp_path: Path) -> None:
    left = without("timing", world, tmp_path / "left", seed=1)
    path = "exchanges/2026-03-02.parquet"
    before, after = (pq.read_table(folder / path)["started_at"].to_pylist() for folder in (world, left))
    assert [at.date() for at in after] == [at.date() for at in before]
    assert max(before) - min(before) < timedelta(hours=1)
    assert max(after) - min(after) > timedelta(hours=12)
    again = without("timing", world, tmp_path / "again", seed=1)
    assert pq.read_table(again / path)["started_at"].to_pylist() == after


def measured(family: str, right: int, wrong: int, linked: int) -> dict[str, object]:
    def shares(hits: int) -> dict[str, dict[str, int]]:
        return {"recall": {"hits": hits, "total": 100}, "precision": {"hits": hits, "total": hits + wrong}}

    return {
        "family": family,
        "distillation": shares(right),
        "distillation_or_coordinated": shares(linked),
        "cpu_s": 1.0,
    }


def test_the_table_says_what_was_lost_and_whether_that_is_too_much() -> None:
    rows = [
        measured("nothing", 90, 1, 95),
        measured("IP", 80, 0, 85),
        measured("payment", 70, 0, 95),
        measured("device", 90, 9, 95),
        measured("text", 0, 0, 82),
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(rows).splitlines()[2:]]
    assert [(line[0], line[2], line[5], line[-1]) for line in lines] == [
        ("nothing", "+0.0", "+0.0", "-"),
        ("IP", "-10.0", "-10.0", "yes"),
        ("payment", "-20.0", "+0.0", "no: recall falls too far"),
        ("device", "+0.0", "+0.0", "no: precision falls"),
        ("text", "-90.0", "-13.0", "yes"),
    ]
