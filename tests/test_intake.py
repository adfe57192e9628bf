"""Log files to signals: what is counted, what is dropped, what is forgotten."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.flow import planted

from stillwatch import ingest
from stillwatch import intake as module
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import InputError
from stillwatch.intake import Intake, intake, too_many_rejected
from stillwatch.records import SIGNALS
from stillwatch.settings import Settings

Take = Callable[..., Intake]
SECRET = "a sentence that must not be kept anywhere"


@pytest.fixture
def take(tmp_path: Path) -> Iterator[Take]:
    """Take in the files of a folder."""
    with EmbeddedEngine(tmp_path / "work", memory_limit="200MB", threads=2) as engine:

        def take(folder: Path, **flags: Any) -> Intake:
            settings = Settings(logs=(str(folder),), out=tmp_path / "out", **flags)
            key = ingest.Key(b"k" * 32)
            return intake(settings, engine, key=key, work=tmp_path / "work", progress=lambda *_: None)

        yield take


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def test_every_exchange_becomes_one_row_of_signals(take: Take, logs: Path) -> None:
    rows = planted.exchanges()[:300]
    planted.write_part(logs / "a.parquet", rows[:100])
    planted.write_part(logs / "b.parquet", rows[100:])
    taken = take(logs)
    table = taken.signals.to_pyarrow()
    assert tuple(table.column_names) == (*SIGNALS.names, "exchange_key")
    assert sorted(table["exchange_id"].to_pylist()) == [row["exchange_id"] for row in rows]
    assert [entry["rows"] for entry in taken.inputs] == [100, 200]
    assert (taken.exchanges, taken.duplicates, taken.rejected.num_rows) == (300, 0, 0)


def test_no_text_and_no_raw_identifier_reaches_the_work_folder(take: Take, logs: Path, tmp_path: Path) -> None:
    row = {**planted.exchanges()[0], "prompt": SECRET, "system_prompt": SECRET, "completion": SECRET}
    planted.write_part(logs / "a.parquet", [{**row, "client_ip": "203.0.113.77"}])
    table = take(logs).signals.to_pyarrow()
    assert SECRET not in str(table.to_pylist())
    assert "203.0.113.77" not in str(table.to_pylist())
    for path in (tmp_path / "work").rglob("*.parquet"):
        assert SECRET not in str(pq.read_table(path).to_pylist())


def test_vectors_kept_as_bytes_are_those_of_the_lists(logs: Path, tmp_path: Path) -> None:
    rows = [{**row, "prompt": row["prompt"] if number % 3 else None} for number, row in enumerate(planted.exchanges())]
    planted.write_part(logs / "a.parquet", rows[:50])
    settings = Settings(logs=(str(logs / "*.parquet"),), out=tmp_path / "out")
    tables = []
    for packed in (False, True):
        with EmbeddedEngine(tmp_path / f"engine-{packed}") as engine:
            work = tmp_path / f"packed-{packed}"
            options = {"key": ingest.Key(b"0" * 32), "work": work, "progress": lambda *_: None}
            tables.append(
                intake(settings, engine, **options, packed=packed).signals.to_pyarrow().sort_by("exchange_key")
            )
    for name, kind in (("sketch", np.int64), ("words", np.int16), ("embedding", np.int8)):
        lists, packed_rows = (table[name].to_pylist() for table in tables)
        assert [row and np.array(row, kind).tobytes() for row in lists] == packed_rows
        assert 0 < packed_rows.count(None) < 50
    for name in ("reasoning_issued", "reasoning_replayed"):
        lists, packed_rows = (table[name].to_pylist() for table in tables)
        assert [row and bytes.fromhex("".join(row)) for row in lists] == packed_rows
    left_out = set(tables[0].column_names) - set(tables[1].column_names)
    assert left_out == {"exchange_id", "session_id"}
    rest = [name for name in tables[1].column_names if not pa.types.is_binary(tables[1][name].type)]
    rest = [name for name in rest if not pa.types.is_fixed_size_binary(tables[1][name].type)]
    assert len(rest) == len(tables[0].column_names) - 7
    assert tables[0].select(rest).equals(tables[1].select(rest))


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_exchange_delivered_twice_counts_once_whatever_the_order(
    order: tuple[str, str], take: Take, logs: Path
) -> None:
    rows = planted.exchanges()[:50]
    planted.write_part(logs / f"{order[0]}.parquet", rows)
    planted.write_part(logs / f"{order[1]}.parquet", rows[10:30])
    taken = take(logs)
    assert (taken.exchanges, taken.duplicates) == (50, 20)
    assert taken.signals.count().to_pyarrow().as_py() == 50


def test_without_exemplars_no_prompt_is_held_in_memory(take: Take, logs: Path) -> None:
    planted.write_part(logs / "a.parquet", planted.exchanges()[:50])
    assert take(logs, exemplars=False).exemplars == {}


def test_the_sample_of_prompts_is_bounded_and_hangs_on_ids_not_on_order(
    take: Take, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXEMPLARS", 40)
    rows = planted.exchanges()[:400]
    planted.write_part(logs / "a.parquet", rows)
    first = take(logs).exemplars
    planted.write_part(logs / "a.parquet", rows[::-1])
    assert take(logs).exemplars == first
    assert 0 < len(first) <= 40


def test_rejected_accounts_are_told_but_do_not_count_as_rejected_traffic(
    take: Take, logs: Path, tmp_path: Path
) -> None:
    planted.write_part(logs / "a.parquet", planted.exchanges()[:50])
    accounts = tmp_path / "accounts.jsonl"
    accounts.write_text('{"account_id": "a"}\nnonsense\n{}\n', encoding="utf-8")
    taken = take(logs, accounts=accounts)
    assert taken.accounts["account_id"].to_pylist() == ["a"]
    assert {row["file"] for row in taken.rejected.to_pylist()} == {str(accounts)}
    assert too_many_rejected(taken, 0.0) is None


@pytest.fixture
def half_bad(logs: Path) -> Path:
    lines = [
        json.dumps({"account_id": "a", "started_at": "2026-03-02T10:00:00Z", "prompt": SECRET})
        if number % 2
        else json.dumps({"account_id": "a", "started_at": "later", "prompt": SECRET})
        for number in range(20)
    ]
    (logs / "half.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return logs


@pytest.mark.parametrize(("limit", "fails"), [(0.0, True), (0.49, True), (0.5, False), (1.0, False)])
def test_the_share_of_rejected_rows_decides(limit: float, fails: bool, take: Take, half_bad: Path) -> None:
    assert (too_many_rejected(take(half_bad), limit) is not None) == fails


def test_the_refusal_says_how_many_why_and_what_to_do_and_never_what_was_in_them(take: Take, half_bad: Path) -> None:
    refusal = too_many_rejected(take(half_bad), 0.1)
    assert isinstance(refusal, InputError)
    for words in ("10 of 20", "50.0%", "no usable time", "10 times", "--input-format", "rejected.parquet"):
        assert words in str(refusal)
    assert SECRET not in str(refusal)


def test_an_input_that_matches_nothing_is_an_error(take: Take, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input file matches"):
        take(tmp_path / "nowhere")
