"""Intake on a cluster, as far as it goes without one: samples merge in any order, addresses are told from paths."""

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.flow import planted

from stillwatch import ingest, spread
from stillwatch import intake as intake_module
from stillwatch.engines.base import FILE_COLUMN, ROW_COLUMN, Done, IbisTable, ParquetLogs, StreamFunction
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import InputError
from stillwatch.intake import intake
from stillwatch.settings import Settings
from stillwatch.spread import merged_samples, spread_intake

KEY = ingest.Key(b"k" * 32)


class Mail:
    """A mailbox that gets everything twice, as from tasks that ran again."""

    def __init__(self, empty: Any, merged: Callable[[Any, Any], Any]) -> None:
        self.value, self._merged = empty, merged

    def add(self, term: Any) -> None:
        self.value = self._merged(self._merged(self.value, term), term)


class Pretended(EmbeddedEngine):
    """A cluster of this process alone: files are read here, batches cross the borders of files."""

    def parquet(self, files: Sequence[str]) -> ParquetLogs:
        paths = [file.removeprefix("file://") for file in files]
        if not all(Path(path).exists() for path in paths):
            raise InputError(f"cannot read {paths}")
        tables = [pq.read_table(path) for path in paths]
        return ParquetLogs(files, files, tables[0].schema, sum(table.num_rows for table in tables))

    def map_parquet(
        self,
        logs: ParquetLogs,
        columns: Sequence[str],
        function: StreamFunction,
        schema: pa.Schema,
        path: Path,
        done: Done,
    ) -> IbisTable:
        tables = []
        for file in logs.files:
            table = pq.read_table(file.removeprefix("file://"), columns=list(columns))
            table = table.append_column(FILE_COLUMN, pa.array([file] * table.num_rows))
            tables.append(table.append_column(ROW_COLUMN, pa.array(range(table.num_rows), pa.int64())))
        done(0, 1)
        batches = pa.concat_tables(tables).combine_chunks().to_batches(max_chunksize=130)
        return self.map_batches(function(iter(batches)), lambda batch: batch, schema, path)

    def map_rows(
        self, rows: pa.Table, function: StreamFunction, schema: pa.Schema, path: Path, done: Done
    ) -> IbisTable:
        made = (batch for row in rows.to_batches(max_chunksize=1) for batch in function(iter([row])))
        return self.map_batches(made, lambda batch: batch, schema, path)

    def mailbox(self, empty: Any, merged: Callable[[Any, Any], Any]) -> Mail:
        return Mail(empty, merged)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Pretended]:
    with Pretended(tmp_path / "work", memory_limit="200MB", threads=2) as engine:
        yield engine


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Parquet and JSON lines, with rows to reject and rows that come twice."""
    rows = planted.exchanges()[:400]
    folder = tmp_path / "logs"
    folder.mkdir()
    planted.write_part(folder / "a.parquet", rows[:200])
    planted.write_part(folder / "b.parquet", [*rows[150:300], {**rows[0], "exchange_id": "r", "account_id": None}])
    line = {"account_id": "a", "started_at": "2026-03-02T00:00:00Z", "model": "m", "prompt": "Words of no template."}
    (folder / "c.jsonl").write_text(json.dumps(line) + "\n{broken\n")
    (folder / "d.jsonl").write_text("")
    return folder


def taken(engine: Pretended, folder: Path, tmp_path: Path, **flags: Any) -> tuple[Any, Any]:
    settings = Settings(logs=(str(folder),), out=tmp_path / "out", **flags)
    both = []
    for name, take in (("here", intake), ("there", spread_intake)):
        both.append(take(settings, engine, key=KEY, work=tmp_path / "work" / name, progress=lambda *_: None))
    return both[0], both[1]


def test_a_cluster_takes_in_what_one_machine_takes_in(engine: Pretended, logs: Path, tmp_path: Path) -> None:
    here, there = taken(engine, logs, tmp_path)
    order = [("exchange_id", "ascending")]
    assert there.signals.to_pyarrow().sort_by(order) == here.signals.to_pyarrow().sort_by(order)
    assert (there.exchanges, there.duplicates) == (here.exchanges, here.duplicates) == (301, 50)
    assert there.inputs == here.inputs
    assert there.rejected == here.rejected.sort_by([("file", "ascending"), ("line", "ascending")])
    assert there.rejected.num_rows == 2
    assert there.exemplars == here.exemplars
    assert len(there.exemplars) == 301


def test_without_exemplars_no_prompt_travels(engine: Pretended, logs: Path, tmp_path: Path) -> None:
    here, there = taken(engine, logs, tmp_path, exemplars=False)
    assert here.exemplars == there.exemplars == {}


def test_the_bounded_sample_is_the_same_too(
    engine: Pretended, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "MAX_EXEMPLARS", 20)
    monkeypatch.setattr(spread, "MAX_EXEMPLARS", 20)
    here, there = taken(engine, logs, tmp_path)
    assert there.exemplars == here.exemplars
    assert 0 < len(there.exemplars) <= 20


def test_samples_merge_in_any_order_and_twice_is_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_EXEMPLARS", 30)
    parts = [(1, {f"x{n}": (n, "a", str(n)) for n in range(start, start + 25)}) for start in (0, 20, 40)]
    one, two, three = parts
    left = merged_samples(merged_samples(one, two), three)
    right = merged_samples(three, merged_samples(two, merged_samples(one, one)))
    assert left == right
    assert left[0] > 1
    assert 0 < len(left[1]) <= 30


def test_a_table_without_accounts_is_an_error_that_names_the_column(engine: Pretended, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    pq.write_table(pa.table({"started_at": ["2026-03-02"], "who": ["a"]}), tmp_path / "odd" / "a.parquet")
    settings = Settings(logs=(str(tmp_path / "odd"),), out=tmp_path / "out")
    with pytest.raises(InputError, match="no column account_id: name the columns it has with --field-map"):
        spread_intake(settings, engine, key=KEY, work=tmp_path / "work", progress=lambda *_: None)


def test_addresses_far_away_are_left_to_the_engine_and_local_ones_are_paths(tmp_path: Path) -> None:
    file = tmp_path / "a b.parquet"
    file.write_bytes(b"")
    near, far = spread._inputs(["s3a://logs/2026/*.parquet", "hdfs:///x", f"file://{tmp_path}/a%20b.parquet"])
    assert near == [file]
    assert far == ["s3a://logs/2026/*.parquet", "hdfs:///x"]


def test_what_a_task_is_told_can_be_sent(tmp_path: Path) -> None:
    task = spread._Task(b"k" * 32, None, None, None, 1, Mail((1, {}), merged_samples))
    assert pickle.loads(pickle.dumps(task)).secret == b"k" * 32  # noqa: S301 - our own bytes
