"""The benchmark of whole scans: worlds grow, scans and floors are counted, and the exponent is that of the seconds."""

import json
from pathlib import Path

import pytest
from bench.scan import Measured, exponent, main, table

STAGES = {"ingest": 1.0, "total": 2.0}


def measured(exchanges: int, seconds: float) -> Measured:
    return Measured(exchanges, seconds, 2 * seconds, 10**9, 0.5, 1.0, STAGES)


def test_the_exponent_is_that_of_the_seconds() -> None:
    assert exponent(measured(1_000_000, 10.0), measured(4_000_000, 40.0)) == pytest.approx(1.0)
    assert exponent(measured(1_000_000, 10.0), measured(4_000_000, 160.0)) == pytest.approx(2.0)


def test_the_table_has_a_row_for_each_world_and_the_whole_growth_below() -> None:
    lines = table([measured(1_000_000, 10.0), measured(4_000_000, 40.0), measured(16_000_000, 640.0)])
    assert lines[2] == "| 1,000,000 | 10.0 | 20.0 | 1.00 GB | 0.50 | 1.00 | 20.0 | - |"
    assert [line.split("|")[8].strip() for line in lines[3:5]] == ["1.00", "2.00"]
    assert lines[5].endswith("exponent 1.50.")
    assert lines[-1] == "| 16,000,000 | 1.0 s | 2.0 s |"


def test_a_world_is_made_and_kept_scanned_and_held_against_the_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["scan.py", "--millions", "0.02", "--runs", "1", "--worlds", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    (world,) = tmp_path.iterdir()
    told = json.loads((world / "world.json").read_text())
    assert not told["with_text"]
    assert f"| {told['exchanges']:,} |" in capsys.readouterr().out
