"""The first half of a scan on a cluster: every machine reads its share of the logs and derives the signals there.

Why:    logs that take many machines to keep cannot pass through one; rows are judged by the same code all the same.
Misses: nothing that `intake` finds, save the prompts that show templates where tasks cannot send any to the driver.

    1. Parquet is read by the engine, a task per split, from anywhere it can read. Other logs are read by a task per
       file, and must stand where every machine finds them under the same path.
    2. A task writes signals and rejected rows into one table, told apart by `exchange_id`, so that both are committed
       together: a task that is run again leaves neither twice.
    3. Sampled prompts travel from memory to memory, and are never written. A sample that arrives twice is one sample.
    4. The key travels inside the function.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from stillwatch import ingest
from stillwatch.engines.base import FILE_COLUMN, ROW_COLUMN, Cluster, IbisTable, Mailbox, ParquetLogs, StreamFunction
from stillwatch.intake import MAX_EXEMPLARS, Intake, Tally, account_rows, field_map_of, sample, thin, without_repeats
from stillwatch.records import REJECTED, SIGNALS, arrow_schema
from stillwatch.settings import Settings
from stillwatch.signals import signals

Progress = Callable[[str, int, int], None]
Sample = tuple[int, dict[str, tuple[int, str, str]]]  # one in so many; exchange id -> its hash, account and prompt
Judged = tuple[str, pa.RecordBatch, pa.RecordBatch]  # file, exchanges, rejected rows

_LOCAL = "file:"
_FILE = "file"
_REJECTED = ("rejected_line", "rejected_reason")
_PLACE = pa.schema([(_FILE, pa.string()), (_REJECTED[0], pa.int64()), (_REJECTED[1], pa.string())])
_NUMBERED = pa.schema([*arrow_schema(SIGNALS), ingest.EXCHANGE_KEY])
_STAGED = pa.schema([*((field.name, field.type) for field in _NUMBERED), *_PLACE])


@dataclass(frozen=True, slots=True)
class _Task:
    """What every task is told. `one_in` is how thin its sample of prompts starts; null for no sample."""

    secret: bytes
    input_format: str | None
    started_at: datetime | None
    field_map: ingest.FieldMap | None
    one_in: int | None
    mail: Mailbox


def spread_intake(settings: Settings, engine: Cluster, *, key: ingest.Key, work: Path, progress: Progress) -> Intake:
    """Read every input where it lies and derive signals there; what comes out is what `intake` gives.

    Raises:
        InputError: nothing matches an input pattern, or what lies far away is no Parquet. Rejected rows are for the
            caller to judge (`too_many_rejected`).
    """
    accounts, rejected_accounts = account_rows(settings, key)
    near, far = _inputs(settings.logs)
    mail = engine.mailbox((1, {}), merged_samples)
    task = _Task(
        secret=key.secret,
        input_format=settings.input_format,
        started_at=settings.started_at,
        field_map=field_map_of(settings),
        one_in=1 if settings.exemplars else None,
        mail=mail,
    )
    progress("ingest", 0, 0)
    staged, names = _staged(near, far, task, engine, work, lambda done, total: progress("ingest", done, total))
    counts = _counts(staged, names)
    derived, duplicates = without_repeats(_derived(staged), None, engine, work)
    return Intake(
        signals=derived,
        accounts=accounts,
        key=key,
        work=work,
        inputs=[{"file": name, "rows": rows, "rejected": rejected} for name, (rows, rejected) in counts.items()],
        exchanges=sum(rows for rows, _ in counts.values()) - duplicates,
        duplicates=duplicates,
        rejected=pa.concat_tables([_rejected(staged, names), rejected_accounts]),
        exemplars={name: (account, prompt) for name, (_, account, prompt) in mail.value[1].items()},
    )


def merged_samples(left: Sample, right: Sample) -> Sample:
    """Both samples as one, as thin as it must be; the order does not matter, nor that one arrives twice."""
    one_in = max(left[0], right[0])
    merged = Tally(sample_one_in=one_in)
    for told in (left[1], right[1]):
        for name, (lot, account_id, prompt) in told.items():
            if lot % one_in == 0:
                merged.lots[name] = lot
                merged.exemplars[name] = min((account_id, prompt), merged.exemplars.get(name, (account_id, prompt)))
    thin(merged)
    return _sample_of(merged)


def _sample_of(tally: Tally) -> Sample:
    return tally.sample_one_in, {name: (lot, *tally.exemplars[name]) for name, lot in tally.lots.items()}


def _inputs(patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files of this machine's own view, and addresses that only the engine can follow."""
    far = [pattern for pattern in patterns if "://" in pattern and not pattern.startswith(_LOCAL)]
    here = [_path(pattern) if pattern.startswith(_LOCAL) else pattern for pattern in patterns if pattern not in far]
    return ingest.input_files(here), far


def _staged(
    near: Sequence[Path],
    far: Sequence[str],
    task: _Task,
    engine: Cluster,
    work: Path,
    done: Callable[[int, int], None],
) -> tuple[IbisTable, dict[str, str]]:
    """Signals and rejected rows of all inputs, and the name by which the operator knows each of their files."""
    tables = [file for file in near if task.input_format in (None, "parquet") and ingest.is_parquet(file)]
    texts = [file for file in near if file not in set(tables)]
    names = {str(file.resolve()): str(file) for file in near}
    parts = []
    if tables or far:
        logs = engine.parquet([*(f"file://{_literal(file.resolve())}" for file in tables), *far])
        names = {**{_path(address): _path(address) for address in logs.files}, **names}
        parts.append(_of_tables(logs, task, engine, work / "tables", done))
    if texts or not parts:
        rows = pa.table({_FILE: pa.array([str(file.resolve()) for file in texts], pa.string())})
        parts.append(engine.map_rows(rows, _text_stream(task), _STAGED, work / "texts", done))
    return (parts[0] if len(parts) == 1 else parts[0].union(parts[1])), names


def _of_tables(
    logs: ParquetLogs, task: _Task, engine: Cluster, path: Path, done: Callable[[int, int], None]
) -> IbisTable:
    columns = ingest.table_columns(logs.columns, task.field_map)
    return engine.map_parquet(logs, columns.read, _table_stream(task, columns, logs.rows), _STAGED, path, done)


def _table_stream(task: _Task, columns: ingest.TableColumns, rows: int) -> StreamFunction:
    one_in = 1
    while rows >= 4 * one_in * MAX_EXEMPLARS:  # tasks need not send what the whole sample cannot hold
        one_in *= 2

    def stream(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        key = ingest.Key(task.secret)

        def judged() -> Iterator[Judged]:
            for batch in batches:
                places = batch[FILE_COLUMN], batch[ROW_COLUMN]
                for address, exchanges, rejected in ingest.table_exchanges(batch, columns, key=key, places=places):
                    yield _path(address), exchanges, rejected

        yield from _measured(judged(), task, one_in)

    return stream


def _text_stream(task: _Task) -> StreamFunction:
    def stream(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = [Path(name) for batch in batches for name in batch[_FILE].to_pylist()]
        read = ingest.exchanges(
            files,
            key=ingest.Key(task.secret),
            input_format=task.input_format,
            field_map=task.field_map,
            started_at=task.started_at,
        )
        yield from _measured(((part.file, part.exchanges, part.rejected) for part in read), task, 1)

    return stream


def _measured(judged: Iterator[Judged], task: _Task, one_in: int) -> Iterator[pa.RecordBatch]:
    """Rows of the staged table: the signals of exchanges, and the rejected rows; prompts sampled on the way."""
    tally, key = Tally(sample_one_in=one_in), ingest.Key(task.secret)
    for file, exchanges, rejected in judged:
        if exchanges.num_rows:
            if task.one_in is not None:
                sample(exchanges, tally)
            yield _placed(ingest.with_exchange_keys(signals(exchanges), key), file)
        if rejected.num_rows:
            refused = {_FILE: pa.array([file] * rejected.num_rows), _REJECTED[0]: rejected["line"]}
            yield _filled({**refused, _REJECTED[1]: rejected["reason"]}, rejected.num_rows)
    if tally.exemplars:
        task.mail.add(_sample_of(tally))


def _placed(measured: pa.RecordBatch, file: str) -> pa.RecordBatch:
    columns = dict(zip(measured.schema.names, measured.columns, strict=True))
    return _filled({**columns, _FILE: pa.array([file] * measured.num_rows)}, measured.num_rows)


def _filled(columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    """The columns as rows of the staged table; what is not among them is null."""
    arrays = [columns.get(field.name, pa.nulls(rows, field.type)) for field in _STAGED]
    return pa.RecordBatch.from_arrays(arrays, schema=_STAGED)


def _derived(staged: IbisTable) -> IbisTable:
    return staged.filter(staged.exchange_id.notnull()).select(*_NUMBERED.names)


def _rejected(staged: IbisTable, names: dict[str, str]) -> pa.Table:
    """The rejected rows as in `records.REJECTED`, by file and line."""
    found = staged.filter(staged.exchange_id.isnull()).select(_FILE, *_REJECTED).to_pyarrow()
    files = pa.array([names[file] for file in found[_FILE].to_pylist()], pa.string())
    table = pa.table({"file": files, "line": found[_REJECTED[0]], "reason": found[_REJECTED[1]]})
    order = [("file", "ascending"), ("line", "ascending")]
    return table.select(arrow_schema(REJECTED).names).cast(arrow_schema(REJECTED)).sort_by(order)


def _counts(staged: IbisTable, names: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Exchanges and rejected rows of every file, by name; files that hold nothing too."""
    counted = staged.group_by(_FILE).aggregate(read=staged.exchange_id.count(), lines=staged.count()).to_pyarrow()
    found = {names[row[_FILE]]: (row["read"], row["lines"] - row["read"]) for row in counted.to_pylist()}
    return {name: found.get(name, (0, 0)) for name in sorted(names.values())}


def _path(address: str) -> str:
    """The path of a file of this machine's own view; any other address as it is."""
    return unquote(address.removeprefix("file://").removeprefix(_LOCAL)) if address.startswith(_LOCAL) else address


def _literal(path: Path) -> str:
    """The path with what Hadoop takes for a pattern written so that it does not."""
    return re.sub(r"([\\*?\[\]{},^])", r"\\\1", str(path))
