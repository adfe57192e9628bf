"""Damaged files beside good ones: the scan finishes and tells, or fails clearly and leaves what stood there."""

import gzip
import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.flow import planted, scans

from stillwatch.errors import InputError
from stillwatch.scan import Scanned, scan
from stillwatch.settings import Settings

LONG_LINE_BYTES = 50 * 2**20
CUT_ROWS = 400


def as_line(row: planted.Row) -> str:
    return json.dumps({**row, "started_at": row["started_at"].isoformat()}) + "\n"


@pytest.fixture(scope="module")
def damaged(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good logs of the planted world with one file of every kind of damage beside them."""
    folder = tmp_path_factory.mktemp("damaged") / "logs"
    folder.mkdir()
    for path in (world / "logs").iterdir():
        (folder / path.name).symlink_to(path)
    whole = (world / "logs" / "part-0.parquet").read_bytes()
    (folder / "corrupt.parquet").write_bytes(whole[: len(whole) // 2])
    lines = "".join(as_line({**row, "exchange_id": f"cut-{row['exchange_id']}"}) for row in cut_rows())
    packed = gzip.compress(lines.encode())
    (folder / "truncated.jsonl.gz").write_bytes(packed[: len(packed) * 3 // 4])
    good = as_line({**planted.exchanges()[0], "exchange_id": "beside-the-long-line"})
    long = as_line({**planted.exchanges()[1], "exchange_id": "long", "prompt": "a" * LONG_LINE_BYTES})
    (folder / "long.jsonl").write_text(good + long + good.replace("beside", "after"), encoding="utf-8")
    (folder / "binary.log").write_bytes(bytes(random.Random(1).randrange(256) for _ in range(20_000)))
    (folder / "empty.jsonl").touch()
    return folder


def cut_rows() -> list[planted.Row]:
    return [row for row in planted.exchanges() if planted.segment_of(row["account_id"]) == "people"][:CUT_ROWS]


@pytest.fixture(scope="module")
def survived(damaged: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scanned]:
    out = tmp_path_factory.mktemp("survived") / "out"
    return out, scans.scan(world, out, logs=(str(damaged),))


def test_the_scan_finishes_and_finds_the_same_campaign(survived: tuple[Path, Scanned]) -> None:
    [campaign] = scans.with_verdict(survived[1].campaigns, "distillation")
    assert len(campaign["account_ids"]) == planted.HARVEST


def test_each_damaged_file_is_named_with_its_reason(survived: tuple[Path, Scanned]) -> None:
    rows = pq.read_table(survived[0] / "rejected.parquet").to_pylist()
    reasons = {Path(row["file"]).name: (row["line"], row["reason"]) for row in rows}
    assert set(reasons) == {"corrupt.parquet", "truncated.jsonl.gz", "long.jsonl", "binary.log"}
    assert reasons["corrupt.parquet"][0] is None
    assert "early" in reasons["truncated.jsonl.gz"][1]
    assert reasons["long.jsonl"][0] == 2
    assert reasons["binary.log"][0] is None
    assert not any("aaaa" in reason for _, reason in reasons.values())


def test_the_run_lists_every_file_with_what_was_read_of_it(survived: tuple[Path, Scanned], damaged: Path) -> None:
    inputs = {Path(entry["file"]).name: entry for entry in survived[1].run["inputs"]}
    assert set(inputs) == {path.name for path in damaged.iterdir()}
    assert (inputs["empty.jsonl"]["rows"], inputs["empty.jsonl"]["rejected"]) == (0, 0)
    assert 0 < inputs["truncated.jsonl.gz"]["rows"] < CUT_ROWS
    assert inputs["long.jsonl"]["rows"] == 2
    assert survived[1].run["counts"]["rejected"] == 4


@pytest.fixture
def hopeless(tmp_path: Path) -> Path:
    """A log of which a third cannot be read."""
    rows = planted.exchanges()[:60]
    lines = [as_line(row) if number % 3 else '{"started_at": "yesterday"}\n' for number, row in enumerate(rows)]
    path = tmp_path / "hopeless.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_too_many_rejected_rows_fail_with_exit_code_one_and_leave_earlier_results(
    hopeless: Path, world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scans.scan(world, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.name != "rejected.parquet"}
    done = scans.run("scan", hopeless, "--out", out)
    assert done.returncode == 1
    assert "20 of 60 input rows were rejected (33.3%), more than --max-rejected-share 20.0%" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    after = {path.name: path.read_bytes() for path in out.iterdir() if path.name != "rejected.parquet"}
    assert after == before
    rejected = pq.read_table(out / "rejected.parquet")
    assert rejected["line"].to_pylist() == list(range(1, 61, 3))


def test_a_higher_share_lets_the_same_log_through(hopeless: Path, tmp_path: Path) -> None:
    settings = Settings(logs=(str(hopeless),), out=tmp_path / "out", max_rejected_share=0.5)
    done = scan(settings, progress=lambda *_: None)
    assert (done.run["counts"]["exchanges"], done.run["counts"]["rejected"]) == (40, 20)


def test_the_share_itself_is_still_allowed(hopeless: Path, tmp_path: Path) -> None:
    settings = Settings(logs=(str(hopeless),), out=tmp_path / "out", max_rejected_share=20 / 60)
    assert scan(settings, progress=lambda *_: None).run["counts"]["rejected"] == 20


def test_only_unreadable_files_are_an_error_and_not_a_clean_result(tmp_path: Path) -> None:
    (tmp_path / "noise.log").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(InputError, match="rejected"):
        scan(Settings(logs=(str(tmp_path / "noise.log"),), out=tmp_path / "out"), progress=lambda *_: None)
