"""The first half of a scan: log files to signals, duplicates removed, text forgotten."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stillwatch import ingest, rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.errors import InputError
from stillwatch.records import ACCOUNTS, REJECTED, SIGNALS, arrow_schema
from stillwatch.settings import Settings
from stillwatch.signals import signals

MAX_EXEMPLARS = 50_000  # prompts sampled in memory to show skeletons; never written anywhere
MAX_EXEMPLAR_CHARS = 2_000


@dataclass(slots=True)
class Tally:
    """What was read so far: rows per file, rejected rows, and the sample of prompts."""

    rows: dict[str, int] = field(default_factory=dict)
    rejected_rows: dict[str, int] = field(default_factory=dict)
    rejected: list[pa.RecordBatch] = field(default_factory=list)
    exemplars: dict[str, tuple[str, str]] = field(default_factory=dict)
    sample_one_in: int = 1


@dataclass(frozen=True, slots=True)
class Intake:
    """Signals of every exchange once, the accounts, and what was left out."""

    signals: IbisTable
    accounts: pa.Table
    key: ingest.Key
    work: Path
    inputs: list[dict[str, object]]
    exchanges: int
    duplicates: int
    rejected: pa.Table
    exemplars: dict[str, tuple[str, str]]


def intake(
    settings: Settings, engine: Engine, *, key: ingest.Key, work: Path, progress: Callable[[str, int, int], None]
) -> Intake:
    """Read every input and derive signals on the way in.

    Raises:
        InputError: nothing matches an input pattern. Rejected rows are for the caller to judge (`too_many_rejected`).
    """
    files = ingest.input_files(settings.logs)
    accounts, rejected_accounts = account_rows(settings, key)
    tally = Tally()
    batches = _batches(files, settings, key, tally, progress)
    derived = engine.map_batches(batches, signals, arrow_schema(SIGNALS), work / "signals")
    derived, duplicates = without_repeats(derived, engine, work)
    rejected = pa.Table.from_batches(tally.rejected, arrow_schema(REJECTED))
    return Intake(
        signals=derived,
        accounts=accounts,
        key=key,
        work=work,
        inputs=[
            {"file": str(file), "rows": tally.rows.get(str(file), 0), "rejected": tally.rejected_rows.get(str(file), 0)}
            for file in files
        ],
        exchanges=sum(tally.rows.values()) - duplicates,
        duplicates=duplicates,
        rejected=pa.concat_tables([rejected, rejected_accounts]),
        exemplars=tally.exemplars,
    )


def without_repeats(derived: IbisTable, engine: Engine, work: Path) -> tuple[IbisTable, int]:
    """The signals with one row per exchange id, and how many rows were left out."""
    repeated = engine.write(rollups.repeated_ids(derived), work / "repeated.parquet")
    duplicates = int(repeated.surplus.sum().to_pyarrow().as_py() or 0)
    if duplicates:
        derived = engine.write(rollups.unique_exchanges(derived, repeated), work / "unique.parquet")
    return derived, duplicates


def too_many_rejected(taken: Intake, limit: float) -> InputError | None:
    """The error to raise when more than `limit` of the input rows were rejected; None when it is fine."""
    rejected = sum(int(str(entry["rejected"])) for entry in taken.inputs)
    rows = sum(int(str(entry["rows"])) for entry in taken.inputs)
    share = rejected / (rows + rejected) if rows + rejected else 0.0
    if share <= limit:
        return None
    reasons = taken.rejected["reason"].value_counts().to_pylist()
    worst = max(reasons, key=lambda reason: (reason["counts"], reason["values"]))
    return InputError(
        f"{rejected} of {rows + rejected} input rows were rejected ({share:.1%}), more than --max-rejected-share "
        f"{limit:.1%}. Most often: {worst['values']} ({worst['counts']} times). "
        "Every row is listed in rejected.parquet; "
        "check --input-format and --field-map, or raise the share."
    )


def account_rows(settings: Settings, key: ingest.Key) -> tuple[pa.Table, pa.Table]:
    """The accounts that were given, and the rows of them that were rejected."""
    if settings.accounts is None:
        return arrow_schema(ACCOUNTS).empty_table(), arrow_schema(REJECTED).empty_table()
    return ingest.accounts(settings.accounts, key=key, field_map=field_map_of(settings))


def field_map_of(settings: Settings) -> ingest.FieldMap | None:
    """The operator's field map, if there is one."""
    return ingest.load_field_map(settings.field_map) if settings.field_map else None


def _batches(
    files: Sequence[Path],
    settings: Settings,
    key: ingest.Key,
    tally: Tally,
    progress: Callable[[str, int, int], None],
) -> Iterator[pa.RecordBatch]:
    """The exchanges of all files; rejected rows, counts and exemplars are kept in the tally on the way."""
    total = sum(file.stat().st_size for file in files if file.exists())
    finished, field_map = 0, field_map_of(settings)
    for file in files:
        read = 0
        for batch in ingest.exchanges(
            [file],
            key=key,
            input_format=settings.input_format,
            field_map=field_map,
            started_at=settings.started_at,
        ):
            read = batch.bytes_read
            tally.rows[batch.file] = tally.rows.get(batch.file, 0) + batch.exchanges.num_rows
            tally.rejected_rows[batch.file] = tally.rejected_rows.get(batch.file, 0) + batch.rejected.num_rows
            if batch.rejected.num_rows:
                tally.rejected.append(batch.rejected)
            progress("ingest", finished + read, total)
            if batch.exchanges.num_rows:
                if settings.exemplars:
                    sample(batch.exchanges, tally)
                yield batch.exchanges
        finished += file.stat().st_size if file.exists() else 0
    progress("ingest", total, total)


def sample(batch: pa.RecordBatch, tally: Tally) -> None:
    """Keep one prompt in `sample_one_in`, chosen by id, so that the order of files does not matter."""
    ids = batch["exchange_id"].to_pylist()
    wanted = [i for i, name in enumerate(ids) if lot(name) % tally.sample_one_in == 0]
    chosen = batch.take(pa.array(wanted, pa.int64())).select(["exchange_id", "account_id", "prompt"])
    for row in chosen.to_pylist():
        if row["prompt"] is not None:
            tally.exemplars[row["exchange_id"]] = (row["account_id"], row["prompt"][:MAX_EXEMPLAR_CHARS])
    tally.sample_one_in, tally.exemplars = bounded(tally.sample_one_in, tally.exemplars)


def bounded(one_in: int, exemplars: dict[str, tuple[str, str]]) -> tuple[int, dict[str, tuple[str, str]]]:
    """The sample, thinned by halves until it is small enough to hold, and how thin it is now."""
    while len(exemplars) > MAX_EXEMPLARS:
        one_in *= 2
        exemplars = {name: told for name, told in exemplars.items() if lot(name) % one_in == 0}
    return one_in, exemplars


def lot(exchange_id: str) -> int:
    """A number that depends on the id only, spread evenly."""
    return int.from_bytes(hashlib.blake2b(exchange_id.encode(), digest_size=8).digest(), "little")
