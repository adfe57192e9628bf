"""Same input, same answer: twice, shuffled, doubled, in other time zones, and in less memory."""

import json
import random
import shutil
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.flow import planted, scans

from stillwatch.scan import Scanned

Done = tuple[Path, Scanned]
# Less and DuckDB cannot write the tables of this world; docs/results.md has larger ones.
LEAST_MEMORY = "60MB"


def campaigns_in(out: Path) -> str:
    return (out / "campaigns.json").read_text(encoding="utf-8")


def shuffled(seed: int) -> list[planted.Row]:
    rows = planted.exchanges()
    random.Random(seed).shuffle(rows)
    return rows


def test_a_second_scan_into_the_same_folder_changes_nothing(world: Path, scanned: Done, tmp_path: Path) -> None:
    out = shutil.copytree(scanned[0], tmp_path / "out")
    scans.scan(world, out)
    assert campaigns_in(out) == campaigns_in(scanned[0])


def test_shuffled_rows_in_reversed_files_with_duplicates_give_the_same_campaigns(
    world: Path, scanned: Done, tmp_path: Path
) -> None:
    rows = shuffled(11)
    doubled = rows + random.Random(3).sample(rows, 200)
    other = planted.write(tmp_path / "world", doubled, files=7)
    for number, path in enumerate(sorted((other / "logs").iterdir(), reverse=True)):
        path.rename(path.with_name(f"{number:02}-again.parquet"))
    done = scans.scan(other, tmp_path / "out", accounts=world / "accounts.parquet")
    assert done.run["counts"]["duplicates"] == 200
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])


def test_accounts_in_another_order_give_the_same_campaigns(world: Path, scanned: Done, tmp_path: Path) -> None:
    table = pq.read_table(world / "accounts.parquet")
    order = random.Random(4).sample(range(table.num_rows), table.num_rows)
    pq.write_table(table.take(pa.array(order)), tmp_path / "accounts.parquet")
    scans.scan(world, tmp_path / "out", accounts=tmp_path / "accounts.parquet")
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])


def test_the_number_of_threads_changes_nothing(world: Path, scanned: Done, tmp_path: Path) -> None:
    scans.scan(world, tmp_path / "out", threads=1)
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])


def test_the_same_instants_in_other_time_zones_give_the_same_campaigns(
    world: Path, scanned: Done, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    zones = [timezone(timedelta(hours=hours)) for hours in (-11, 0, 5.75, 14)]
    with (tmp_path / "logs" / "zoned.jsonl").open("w", encoding="utf-8") as file:
        for number, row in enumerate(shuffled(12)):
            told = {**row, "started_at": row["started_at"].astimezone(zones[number % 4]).isoformat()}
            file.write(json.dumps(told) + "\n")
    scans.scan(world, tmp_path / "out", logs=(str(tmp_path / "logs"),))
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])


def test_epoch_numbers_in_any_unit_give_the_same_campaigns(world: Path, scanned: Done, tmp_path: Path) -> None:
    """Exchanges of one second keep their order, so nothing may hang on fractions; ids are the log's."""
    (tmp_path / "logs").mkdir()
    rows: list[dict[str, Any]] = shuffled(13)
    for number, factor in enumerate((1, 1_000)):
        told = [{**row, "started_at": round(row["started_at"].timestamp() * factor)} for row in rows[number::2]]
        lines = "".join(json.dumps(row) + "\n" for row in told)
        (tmp_path / "logs" / f"{number}.jsonl").write_text(lines, encoding="utf-8")
    scans.scan(world, tmp_path / "out", logs=(str(tmp_path / "logs"),))
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])


def test_little_memory_changes_nothing(world: Path, scanned: Done, tmp_path: Path) -> None:
    done = scans.scan(world, tmp_path / "out", memory_limit=LEAST_MEMORY)
    assert done.run["settings"]["memory_limit"] == LEAST_MEMORY
    assert campaigns_in(tmp_path / "out") == campaigns_in(scanned[0])
