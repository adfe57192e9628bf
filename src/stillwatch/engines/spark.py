"""The engine for many machines: Spark under Ibis for tables, `mapInArrow` for text kernels.

Why:    past one machine the same stages must run on a cluster and give the same rows.
Misses: what only the driver holds (the account-trait edges and all after them) still has to fit one machine.
Source: own; the portability traps it avoids are listed in docs/decisions/0016-spark-engine.md.

A table is named by a local path and lives in the engine's folder, which driver and workers reach alike:

    <folder>/stillwatch-<run>/signals-0001/part-00000-....parquet, _SUCCESS

    1. Every write goes to a folder of its own; Spark puts `_SUCCESS` into it when all its tasks have committed.
    2. Only then does the engine point the name at the new folder. What a crash left is never read: no name leads there.
    3. Nothing is renamed, so object stores cost no second copy; `close` removes the folder of the run.
"""

import contextlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import ibis
import pyarrow as pa
from ibis.backends.pyspark import Backend
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from stillwatch.engines.base import (
    FILE_COLUMN,
    ROW_COLUMN,
    BatchFunction,
    Done,
    IbisTable,
    Mailbox,
    ParquetLogs,
    StreamFunction,
)
from stillwatch.errors import EngineError, InputError

BATCH_ROWS = 16_384  # rows handed to a kernel at once; of texts of 1 kB each, 16 MB
POLL_S = 0.5  # between two looks at how far a job is

# What the stages rely on; set on every session, whatever its defaults.
_MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",  # overflow is an error, not another number
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # Spark reads no nanoseconds; ingest tells them by their size
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
    "spark.sql.parquet.compression.codec": "zstd",
}
_PATTERN = re.compile(r"([\\*?\[\]{},^])")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B\s*", re.IGNORECASE)


class SparkEngine:
    """Spark behind `master`: local[2], spark://host:7077, yarn, k8s://..., or sc://host:15002 for Spark Connect.

    `root` is the local folder under which stages name their tables, `folder` (a path of any Hadoop filesystem) where
    these live; left out, they live under `root`, which the workers then must see. As a context it closes itself, and
    failures of Spark inside it leave as `EngineError`.
    """

    threads_here = 0

    def __init__(
        self,
        root: Path,
        *,
        master: str | None = None,
        folder: str | None = None,
        memory_limit: str = "4GB",
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Start a session, or take the one that runs in this process.

        Raises:
            EngineError: Java is missing, the master does not answer, or an option is refused.
        """
        self._root = root.absolute()
        base = folder.rstrip("/") if folder else str(self._root)
        self._folder = f"{base if '://' in base else f'file://{Path(base).absolute()}'}/stillwatch-{uuid4().hex[:12]}"
        self._places: dict[Path, str] = {}
        self._written = 0
        self._is_connect = (master or "").startswith("sc://")
        self._is_ours = self._is_connect or SparkSession.getActiveSession() is None
        self._session = _session(master, {"spark.driver.memory": _jvm_size(memory_limit), **(options or {})})
        _ArrowBackend.register_options()
        self._backend = _ArrowBackend()
        self._backend.do_connect(self._session)
        for name, value in _MEANING.items():
            self._session.conf.set(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if isinstance(error, PySparkException) or type(error).__name__ == "Py4JJavaError":
            raise EngineError(f"Spark could not run the job: {_cause(str(error))}") from error

    def read(self, path: Path) -> IbisTable:
        """The Parquet dataset at `path` (a table this engine wrote, else a file or a folder of parts)."""
        place = self._places.get(path.absolute(), f"file://{path.absolute()}")
        return self._table(self._session.read.parquet(literal(place)))

    def memory(self, table: pa.Table) -> IbisTable:
        """A small Arrow table as an Ibis table of this engine."""
        return self._table(self._frame(table))

    def write(self, table: IbisTable, path: Path) -> IbisTable:
        """Materialise at `path`, atomically and replacing what stood there; return it read back."""
        return self._save(self._backend.frame(table), path)

    def map_batches(
        self, batches: Iterable[pa.RecordBatch] | IbisTable, function: BatchFunction, schema: pa.Schema, path: Path
    ) -> IbisTable:
        """Apply a pure function to every batch, on the workers, and materialise the result at `path`.

        Batches that are no table of this engine are taken to the workers first: for small inputs.
        """
        if hasattr(batches, "to_pyarrow_batches"):
            frame = self._backend.frame(batches)
        else:
            held = list(batches)
            if not held:
                return self._save(self._frame(schema.empty_table()), path)
            frame = self._frame(pa.Table.from_batches(held))
        return self._save(_mapped(frame, _each(function), schema), path)

    def parquet(self, files: Sequence[str]) -> ParquetLogs:
        """The Parquet logs that addresses of files, folders and globs stand for.

        Raises:
            InputError: nothing is there, or it cannot be read.
        """
        try:
            frame = self._logs(files)
            return ParquetLogs(files, sorted(frame.inputFiles()), to_arrow_schema(frame.schema), frame.count())
        except PySparkException as error:
            raise InputError(f"Spark cannot read {', '.join(files[:3])}: {_cause(str(error))}") from error

    def map_parquet(
        self,
        logs: ParquetLogs,
        columns: Sequence[str],
        function: StreamFunction,
        schema: pa.Schema,
        path: Path,
        done: Done,
    ) -> IbisTable:
        """Apply `function` to the rows of Parquet files, wherever Spark can read them, and materialise the result.

        It gets the columns asked for, then FILE_COLUMN (an address) and ROW_COLUMN (row in the file, from 0).
        """
        where = [
            sql.col("_metadata.file_path").alias(FILE_COLUMN),
            sql.col("_metadata.row_index").alias(ROW_COLUMN),
        ]
        frame = self._logs(logs.asked).select(*[sql.col(f"`{name}`") for name in columns], *where)
        return self._save(_mapped(frame, function, schema), path, done)

    def map_rows(
        self, rows: pa.Table, function: StreamFunction, schema: pa.Schema, path: Path, done: Done
    ) -> IbisTable:
        """Apply `function` to every row of a small table in a task of its own, and materialise the result."""
        frame = self._frame(rows).repartition(max(1, rows.num_rows))
        return self._save(_mapped(frame, function, schema), path, done)

    def mailbox(self, empty: Any, merged: Callable[[Any, Any], Any]) -> Mailbox:  # noqa: ANN401 - any value
        """What tasks send to the driver beside their rows; with Spark Connect nothing arrives."""
        if self._is_connect:
            return _NoMail(empty)
        return self._session.sparkContext.accumulator(empty, _Merge(empty, merged))

    def close(self) -> None:
        """Remove the run's tables and end the session, unless somebody else began it."""
        with contextlib.suppress(Exception):  # whatever went wrong is being told already
            _remove(self._session, self._folder, is_connect=self._is_connect)
        if self._is_ours:
            self._session.stop()

    def _logs(self, files: Sequence[str]) -> DataFrame:
        return self._session.read.option("mergeSchema", "true").parquet(*files)

    def _frame(self, table: pa.Table) -> DataFrame:
        plain = table.cast(_plain_schema(table.schema))
        return self._session.createDataFrame(plain, schema=_spark_schema(plain.schema))

    def _table(self, frame: DataFrame) -> IbisTable:
        name = f"stillwatch_{uuid4().hex}"
        frame.createOrReplaceTempView(name)
        return self._backend.table(name)

    def _save(self, frame: DataFrame, path: Path, done: Done | None = None) -> IbisTable:
        self._written += 1
        place = f"{self._folder}/{path.stem}-{self._written:04d}"
        _watched(self._session, lambda: frame.write.parquet(place), None if self._is_connect else done)
        self._places[path.absolute()] = place
        return self.read(path)


class _ArrowBackend(Backend):
    """Ibis on Spark, with results fetched as Arrow: no detour over pandas, which has no lists and loses integers."""

    def frame(self, table: IbisTable) -> DataFrame:
        """The expression as a data frame."""
        self._run_pre_execute_hooks(table)
        return self._session.sql(self.compile(table))

    def get_schema(self, table_name: str, *, catalog: str | None = None, database: str | None = None) -> Any:  # noqa: ANN401
        """The columns; times carry the zone in which Spark keeps them, which Ibis drops."""
        found = super().get_schema(table_name, catalog=catalog, database=database)
        zoned = ibis.dtype("timestamp('UTC', 6)")
        return ibis.schema({name: zoned if kind.is_timestamp() else kind for name, kind in found.items()})

    def to_pyarrow(self, expr: Any, /, **_: Any) -> Any:  # noqa: ANN401 - as Ibis has it
        """The result, in the types that Ibis says it has."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        found = self.frame(table).toArrow().rename_columns(schema.names)
        return expr.__pyarrow_result__(found.cast(schema))

    def to_pyarrow_batches(self, expr: Any, /, *, chunk_size: int = 65_536, **_: Any) -> Any:  # noqa: ANN401 - same
        """The result, cut into batches."""
        found = self.to_pyarrow(expr.as_table())
        return pa.RecordBatchReader.from_batches(found.schema, found.to_batches(max_chunksize=chunk_size))


class _Merge:
    """How Spark merges what tasks send; it knows the two methods by name."""

    def __init__(self, empty: Any, merged: Callable[[Any, Any], Any]) -> None:  # noqa: ANN401 - any value
        self._empty, self._merged = empty, merged

    def zero(self, value: Any) -> Any:  # noqa: ANN401 - any value
        """What a task begins with."""
        return self._empty

    def addInPlace(self, value: Any, more: Any) -> Any:  # noqa: ANN401, N802 - Spark's name
        """Both values together."""
        return self._merged(value, more)


class _NoMail:
    """A mailbox where nothing arrives."""

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - any value
        self.value = value

    def add(self, term: Any) -> None:  # noqa: ANN401 - any value
        """Drop it."""


def _session(master: str | None, options: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName("stillwatch")
    if master and master.startswith("sc://"):
        return _started(master, builder.remote(master))
    _require_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    static = {
        "spark.driver.maxResultSize": "0",  # the driver takes all edges; its memory is the bound
        "spark.ui.showConsoleProgress": "false",
        **options,
    }
    for name, value in static.items():
        builder = builder.config(name, value)
    return _started(master, builder.master(master) if master else builder)


def _started(master: str | None, builder: Any) -> SparkSession:  # noqa: ANN401 - Spark's own builder
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return builder.getOrCreate()
    except Exception as error:
        message = f"Spark did not start with master {master or 'of its own settings'}: {_cause(str(error))}"
        raise EngineError(f"{message}. Check --spark-master, the network, and that the versions are equal.") from error


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not (home and (Path(home) / "bin" / "java").exists()) and shutil.which("java") is None:
        message = "Spark needs Java 17 or newer, and none was found through JAVA_HOME or PATH. Install it"
        raise EngineError(f"{message} (Debian, Ubuntu: apt install openjdk-17-jre-headless) or set JAVA_HOME.")


def _jvm_size(size: str) -> str:
    """A size as Java writes it: whole megabytes, at least what Spark starts with."""
    found = _SIZE.fullmatch(size)
    if not found:
        raise EngineError(f"memory limit {size!r}: write it as in '4GB' or '800MB'.")
    number, unit = float(found[1]), found[2].upper()
    return f"{max(512, int(number * 1024.0 ** (' KMGT'.index(unit or ' ') - 2)))}m"


def _mapped(frame: DataFrame, function: StreamFunction, schema: pa.Schema) -> DataFrame:
    plain = _plain_schema(schema)

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for made in function(batches):
            arrays = [column.cast(kind) for column, kind in zip(made.columns, plain.types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=plain)

    return frame.mapInArrow(mapped, _spark_schema(plain))


def _each(function: BatchFunction) -> StreamFunction:
    def stream(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (function(batch) for batch in batches)

    return stream


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema in types that Spark has: lists of any size, all nullable."""
    return pa.schema([(field.name, _plain(field.type)) for field in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type)))
    return pa.int8() if pa.types.is_null(kind) else kind


def _spark_schema(schema: pa.Schema) -> Any:  # noqa: ANN401 - Spark ships few types
    return from_arrow_schema(schema)


def _watched(session: SparkSession, action: Callable[[], None], done: Done | None) -> None:
    """Run the action; meanwhile tell how many of its tasks are finished."""
    if done is None:
        action()
        return
    context = session.sparkContext
    name = uuid4().hex

    def run() -> None:
        context.setJobGroup(name, "stillwatch", interruptOnCancel=False)
        try:
            action()
        finally:
            context.setLocalProperty("spark.jobGroup.id", None)

    with ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(run)
        while wait_for([running], timeout=POLL_S).not_done:
            done(*_finished(context.statusTracker(), name))
        running.result()


def _finished(tracker: Any, name: str) -> tuple[int, int]:  # noqa: ANN401 - Spark's own tracker
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(name)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return sum(s.numCompletedTasks for s in stages if s), sum(s.numTasks for s in stages if s)


def literal(address: str) -> str:
    """The address with what Hadoop takes for a pattern written so that it does not."""
    return _PATTERN.sub(r"\\\1", address)


def _remove(session: SparkSession, folder: str, *, is_connect: bool) -> None:
    if folder.startswith("file:"):
        shutil.rmtree(Path(folder.removeprefix("file://")), ignore_errors=True)
        return
    if is_connect:  # a Connect client reaches no filesystem but through tables
        return
    virtual, java = session.sparkContext._jvm, session.sparkContext._jsc
    place = virtual.org.apache.hadoop.fs.Path(folder)
    place.getFileSystem(java.hadoopConfiguration()).delete(place, True)


def _cause(message: str) -> str:
    """The line of a long Java message that says what is wrong."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if "Caused by:" in line or "Exception:" in line or "Error:" in line]
    return (told[-1] if told else lines[0] if lines else "no reason given")[:500]
