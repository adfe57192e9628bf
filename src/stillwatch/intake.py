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
    schema = arrow_schema(SIGNALS).append(ingest.EXCHANGE_KEY)
    derived = engine.map_batches(batches, _numbered_signals(key), schema, work / "signals")
    repeated = engine.write(rollups.repeated_ids(derived), work / "repeated.parquet")
    duplicates = int(repeated.surplus.sum().to_pyarrow().as_py() or 0)
    if duplicates:
        derived = engine.write(rollups.unique_exchanges(derived, repeated), work / "unique.parquet")
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


def _numbered_signals(key: ingest.Key) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """The signals of a batch, each exchange with the number under the key that outlives its id."""
    return lambda batch: ingest.with_exchange_keys(signals(batch), key)


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
    """The accounts that were given, none without a file, and the rejected rows among them."""
    if settings.accounts is None:
        return arrow_schema(ACCOUNTS).empty_table(), arrow_schema(REJECTED).empty_table()
    return ingest.accounts(settings.accounts, key=key, field_map=_field_map(settings))


def _field_map(settings: Settings) -> ingest.FieldMap | None:
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
    finished, field_map = 0, _field_map(settings)
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
                    _sample(batch.exchanges, tally)
                yield batch.exchanges
        finished += file.stat().st_size if file.exists() else 0
    progress("ingest", total, total)


def _sample(batch: pa.RecordBatch, tally: Tally) -> None:
    """Keep one prompt in `sample_one_in`, chosen by id, so that the order of files does not matter."""
    ids = batch["exchange_id"].to_pylist()
    wanted = [i for i, name in enumerate(ids) if _lot(name) % tally.sample_one_in == 0]
    chosen = batch.take(pa.array(wanted, pa.int64())).select(["exchange_id", "account_id", "prompt"])
    for row in chosen.to_pylist():
        if row["prompt"] is not None:
            tally.exemplars[row["exchange_id"]] = (row["account_id"], row["prompt"][:MAX_EXEMPLAR_CHARS])
    while len(tally.exemplars) > MAX_EXEMPLARS:
        tally.sample_one_in *= 2
        tally.exemplars = {k: v for k, v in tally.exemplars.items() if _lot(k) % tally.sample_one_in == 0}


def _lot(exchange_id: str) -> int:
    """A number that depends on the id only, spread evenly."""
    return int.from_bytes(hashlib.blake2b(exchange_id.encode(), digest_size=8).digest(), "little")
