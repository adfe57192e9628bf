"""The same scan on both engines: every table that any stage makes, and every result it fetches, is the same.

Whatever a scan materialises or fetches is recorded on the way, so a new rollup or campaign test is held to this without
being named here.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ibis.expr.types import Expr
from tests.engines import cluster as clusters
from tests.engines.conftest import SPARK_MARKS
from tests.flow import planted

from stillwatch.engines.base import Engine
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import SIGNALS
from stillwatch.rollups.foreign import ARTEFACT_BYTES
from stillwatch.scan import Scanned, scan
from stillwatch.settings import Settings

pytestmark = SPARK_MARKS

Row = dict[str, Any]
Recorded = list[tuple[str, list[str]]]  # who asked, and the rows in any order
INTAKE = ("intake.py", "spread.py")  # how logs get in differs; what comes of them must not
# What recurs is counted in tables there and by kernels here, and of what others use no more is said than is enough,
# which depends on where batches end. What comes of both must not differ.
COUNTED_APART = ("recurring_there", "_among_others")
CHOSEN_THERE = ("write chosen.parquet", "write few.parquet", "families.py:_drawn_there")  # by kernels here
REPEATING = ("wordings.py:_counted",)  # reads what a function of batches said, and may say more than once
MEMBERS, SOURCES = 6, 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted world with all that a log may hold: replays, repeats, rows to reject, and files of two formats."""
    folder = tmp_path_factory.mktemp("both") / "world"
    rows = planted.exchanges()
    rows += [_replay(rows[number], number) for number in range(40)]
    (folder / "logs").mkdir(parents=True)
    planted.write_accounts(folder, planted.accounts())
    _write_parquet(folder / "logs" / "most.parquet", rows[:-60])
    refused = [{**rows[0], "exchange_id": "refused", "account_id": None}]
    _write_parquet(folder / "logs" / "z [1] odd%20name.parquet", [*rows[-60:], *rows[:25], *refused])
    lines = [json.dumps(_as_json(row)) for row in rows[-40:]]
    (folder / "logs" / "lines.jsonl").write_text("\n".join([*lines, "{not json", '{"account_id": "a"}']) + "\n")
    return folder


def test_every_table_and_every_fetched_result_is_the_same_on_both_engines_though_a_worker_dies_on_the_way(
    world: Path, tmp_path: Path, cluster: clusters.Cluster, spark: Engine
) -> None:
    """The cluster is one worker short afterwards: nothing that wants two may come later in this file."""
    ours, theirs, dead = tmp_path / "embedded", tmp_path / "spark", list[str]()

    def kill_a_worker(stage: str, _done: int, _total: int) -> None:
        if stage == "templates" and not dead:
            cluster.kill(0)
            dead.append(stage)

    flags = {"spark_master": cluster.master, "memory_limit": "1GB", "work": str(tmp_path / "work")}
    expected = _scanned(world, ours, EmbeddedEngine, lambda *_: None, engine="embedded")
    found = _scanned(world, theirs, type(spark), kill_a_worker, engine="spark", **flags)
    assert dead
    found = [(asked, rows) for asked, rows in found if asked not in CHOSEN_THERE]
    assert [asked for asked, _ in found] == [asked for asked, _ in expected]
    for (asked, rows), (_, wanted) in zip(found, expected, strict=True):
        assert rows == wanted, asked
    assert (theirs / "campaigns.json").read_text() == (ours / "campaigns.json").read_text()
    for name in ("accounts", "links", "seen", "rejected"):
        assert _rows(pq.read_table(theirs / f"{name}.parquet")) == _rows(pq.read_table(ours / f"{name}.parquet"))
    runs = [json.loads((out / "run.json").read_text()) for out in (ours, theirs)]
    assert runs[0]["inputs"] == runs[1]["inputs"]
    assert runs[0]["counts"] == runs[1]["counts"]
    assert runs[0]["not_judged"] == runs[1]["not_judged"]
    assert (runs[0]["counts"]["duplicates"], runs[0]["counts"]["rejected"]) == (65, 3)
    assert len(expected) > 40


def _scanned(world: Path, out: Path, kind: type[Engine], progress: Any, **flags: Any) -> Recorded:
    """What the stages of a scan make and fetch, in their order."""
    told: Recorded = []
    with pytest.MonkeyPatch.context() as patch:
        write, map_batches, fetch = kind.write, kind.map_batches, Expr.to_pyarrow

        def written(self: Any, table: Any, path: Path) -> Any:
            made = write(self, table, path)
            if not _is_within(COUNTED_APART):
                told.append((f"write {path.name}", _rows(fetch(made))))
            return made

        def mapped(self: Any, batches: Any, function: Any, schema: Any, path: Path) -> Any:
            made = map_batches(self, batches, function, schema, path)
            if path.name != "signals" and not _is_within(COUNTED_APART):
                told.append((f"map {path.name}", _once(fetch(made))))
            return made

        def fetched(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = fetch(self, *args, **kwargs)
            asked = _stage()
            is_compared = asked.partition(":")[0] not in INTAKE and not _is_within(COUNTED_APART)
            if isinstance(result, pa.Table | pa.ChunkedArray) and is_compared:
                told.append((asked, _once(result) if asked in REPEATING else _rows(result)))
            return result

        patch.setattr(kind, "write", written)
        patch.setattr(kind, "map_batches", mapped)
        patch.setattr(Expr, "to_pyarrow", fetched)
        _scan(world, out, progress, **flags)
    return told


def _stage() -> str:
    """The innermost function of ours that is running: file and name."""
    frame = sys._getframe(1)
    while "stillwatch" not in frame.f_code.co_filename or "/tests/" in frame.f_code.co_filename:
        assert frame.f_back is not None
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"


def _is_within(functions: tuple[str, ...]) -> bool:
    """Whether a function of one of these names is running."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_name not in functions:
        frame = frame.f_back
    return frame.f_code.co_name in functions


def _scan(world: Path, out: Path, progress: Any, **flags: Any) -> Scanned:
    logs, accounts = (str(world / "logs"),), world / "accounts.parquet"
    return scan(Settings(logs=logs, accounts=accounts, out=out, threads=2, **flags), progress=progress)


def _rows(result: pa.Table | pa.ChunkedArray) -> list[str]:
    """Names and rows as text, in an order of their own. DuckDB reads its whole sums back from Parquet as doubles."""
    table = result if isinstance(result, pa.Table) else pa.table({"value": result})
    if not {"exchange_key", "session_id"}.isdisjoint(table.column_names):  # signals; ids that a scan here leaves out
        table = table.select([name for name in table.column_names if name not in ("exchange_id", "session_id")])
    rows = sorted(repr([_plain(name, value) for name, value in row.items()]) for row in table.to_pylist())
    return [", ".join(table.column_names), *rows]


def _once(result: pa.Table) -> list[str]:
    """The rows, each once: what a function drops as repeated within a batch depends on where batches end."""
    names, *rows = _rows(result)
    return [names, *sorted(set(rows))]


def _plain(name: str, value: Any) -> Any:
    """The value; a vector that is kept as bytes here is a list there, as artefacts are."""
    if isinstance(value, bytes) and name.startswith("reasoning_"):
        return [value[at : at + ARTEFACT_BYTES].hex() for at in range(0, len(value), ARTEFACT_BYTES)]
    if isinstance(value, bytes):
        return np.frombuffer(value, SIGNALS.column(name).type.value_type.to_pandas_dtype()).tolist()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _replay(like: Row, number: int) -> Row:
    """An exchange of one owner that sends back what another was issued, or that is issued it."""
    account, source = f"harvest-{number % MEMBERS:03}", f"harvest-{10 + number % SOURCES:03}"
    artefact = [f"artefact-{number // 2}"]
    is_issue = number % 2 == 0
    return {
        **like,
        "exchange_id": f"replay-{number}",
        "account_id": source if is_issue else account,
        "started_at": datetime(2026, 3, 3, tzinfo=UTC) + timedelta(minutes=number),
        "reasoning_issued": artefact if is_issue else None,
        "reasoning_replayed": None if is_issue else artefact,
    }


def _as_json(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _write_parquet(path: Path, rows: list[Row]) -> None:
    lists = {name: pa.list_(pa.string()) for name in ("reasoning_issued", "reasoning_replayed")}
    schema = pa.schema({**planted.COLUMNS, **lists})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
