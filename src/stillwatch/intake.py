"""The first half of a scan: log files to signals, duplicates removed, text forgotten."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import ingest, rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.errors import InputError
from stillwatch.records import ACCOUNTS, EXCHANGES, REJECTED, SIGNALS, arrow_schema
from stillwatch.settings import Settings
from stillwatch.signals import inputs, signals

MAX_EXEMPLARS = 50_000  # prompts sampled in memory to show skeletons; never written anywhere
MAX_EXEMPLAR_CHARS = 2_000


@dataclass(slots=True)
class Tally:
    """What was read so far: rows per file, rejected rows, ids, and the sample of prompts."""

    rows: dict[str, int] = field(default_factory=dict)
    rejected_rows: dict[str, int] = field(default_factory=dict)
    rejected: list[pa.RecordBatch] = field(default_factory=list)
    exemplars: dict[str, tuple[str, str]] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)  # of the exemplars: hashes of their ids
    sample_one_in: int = 1
    ids: rollups.SeenNumbers = field(default_factory=rollups.SeenNumbers)
    artefacts: rollups.SeenArtefacts = field(default_factory=rollups.SeenArtefacts)


@dataclass(frozen=True, slots=True)
class Intake:
    """Signals of every exchange once, the accounts, and what was left out.

    `columns` are those of the signals that hold anything, `foreign` the artefacts that an account sent back without
    having been issued them; null when nobody looked.
    """

    signals: IbisTable
    accounts: pa.Table
    key: ingest.Key
    work: Path
    inputs: list[dict[str, object]]
    exchanges: int
    duplicates: int
    rejected: pa.Table
    exemplars: dict[str, tuple[str, str]]
    columns: frozenset[str] | None = None
    foreign: rollups.Foreign | None = None


def filled(signals: pa.RecordBatch | pa.Table) -> set[str]:
    """Names of the columns of the signals that hold anything."""
    return {name for name in SIGNALS.names if signals[name].null_count < signals.num_rows}


def intake(
    settings: Settings,
    engine: Engine,
    *,
    key: ingest.Key,
    work: Path,
    progress: Callable[[str, int, int], None],
    packed: bool = False,
) -> Intake:
    """Read every input and derive signals on the way in; `packed` keeps them as in `packed_signals`.

    Raises:
        InputError: nothing matches an input pattern. Rejected rows are for the caller to judge (`too_many_rejected`).
    """
    files = ingest.input_files(settings.logs)
    accounts, rejected_accounts = account_rows(settings, key)
    tally = Tally()
    batches = _batches(files, settings, key, tally, progress)
    columns: set[str] = set()
    lock = Lock()

    def measured(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = numbered_signals(batch, key)
        with lock:
            columns.update(filled(found))
            tally.ids.add(found["exchange_key"].to_numpy())
            tally.artefacts.add(found)
        return packed_signals(found) if packed else found

    schema = PACKED_SIGNALS if packed else NUMBERED_SIGNALS
    derived = engine.map_batches(batches, measured, schema, work / "signals")
    with ThreadPoolExecutor(1) as pool:  # two long sorts side by side
        foreign = pool.submit(tally.artefacts.foreign)
        repeated = tally.ids.repeated()
    derived, duplicates = without_repeats(derived, repeated, engine, work)
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
        columns=None if duplicates else frozenset(columns),
        foreign=None if duplicates else foreign.result(),
    )


def numbered_signals(batch: pa.RecordBatch, key: ingest.Key) -> pa.RecordBatch:
    """The signals of a batch, each exchange with the number under the key that outlives its id."""
    return ingest.with_exchange_keys(signals(batch, _SIGNALS), key)


def packed_signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Numbered signals with bytes in the place of lists, written and read as one value, and without other ids."""
    columns = [_bytes(batch[name]) for name in PACKED_SIGNALS.names]
    return pa.RecordBatch.from_arrays(columns, schema=PACKED_SIGNALS)


def _bytes(values: pa.Array) -> pa.Array:
    """Artefacts in half the memory, vectors in the same; anything else as it is."""
    if pa.types.is_list(values.type):
        return rollups.artefact_bytes(values)
    return _vector_bytes(values) if pa.types.is_fixed_size_list(values.type) else values


def _vector_bytes(vectors: pa.FixedSizeListArray) -> pa.Array:
    validity, kind = vectors.buffers()[0], _packed(vectors.type)
    numbers = vectors.values.slice(0, (vectors.offset + len(vectors)) * vectors.type.list_size)
    return pa.Array.from_buffers(
        kind, len(vectors), [validity, numbers.buffers()[1]], null_count=vectors.null_count, offset=vectors.offset
    )


def _packed(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.binary()
    if not pa.types.is_fixed_size_list(kind):
        return kind
    return pa.binary(kind.list_size * kind.value_type.bit_width // 8)


def without_repeats(
    derived: IbisTable, numbers: rollups.Numbers | None, engine: Engine, work: Path
) -> tuple[IbisTable, int]:
    """The signals without the repeats of an exchange, and how many those were.

    `numbers` are those of exchanges that came twice, null when nobody kept count.
    """
    if numbers is not None and not len(numbers):
        return derived, 0
    among = None
    if numbers is not None and len(numbers) <= rollups.MOST_REPEATED:
        among = engine.memory(pa.table({"exchange_key": numbers}))
    repeated = engine.write(rollups.repeated_exchanges(derived, among), work / "repeated.parquet")
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
    """The exchanges of all files; rejected rows, counts, ids and exemplars are kept in the tally on the way."""
    sizes = {str(file): file.stat().st_size for file in files if file.exists()}
    total, finished, current = sum(sizes.values()), 0, ""
    batches = ingest.exchanges(
        files,
        key=key,
        input_format=settings.input_format,
        field_map=field_map_of(settings),
        started_at=settings.started_at,
        schema=exchanges_schema(),
        threads=settings.threads or os.cpu_count() or 1,
    )
    for batch in batches:
        if batch.file != current:
            finished, current = finished + sizes.get(current, 0), batch.file
        tally.rows[batch.file] = tally.rows.get(batch.file, 0) + batch.exchanges.num_rows
        tally.rejected_rows[batch.file] = tally.rejected_rows.get(batch.file, 0) + batch.rejected.num_rows
        if batch.rejected.num_rows:
            tally.rejected.append(batch.rejected)
        progress("ingest", finished + batch.bytes_read, total)
        if batch.exchanges.num_rows:
            if settings.exemplars:
                sample(batch.exchanges, tally)
            yield batch.exchanges
    progress("ingest", total, total)


def exchanges_schema() -> pa.Schema:
    """The columns of exchanges that signals keep or read, texts as dictionaries."""
    return _encoded(arrow_schema(EXCHANGES), inputs())


def _encoded(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Some columns of a table, with texts as dictionaries; ids never repeat."""
    fields = (schema.field(name) for name in names)
    return pa.schema([_as_dictionary(field) if field.type == pa.string() else field for field in fields])


def _as_dictionary(field: pa.Field) -> pa.Field:
    is_repeated = field.name not in ("exchange_id", "prompt")
    return field.with_type(pa.dictionary(pa.int32(), pa.string())) if is_repeated else field


def sample(batch: pa.RecordBatch, tally: Tally) -> None:
    """Keep one prompt in `sample_one_in`, chosen by a hash of the id, so that the order of files does not matter."""
    if batch["prompt"].null_count == batch.num_rows:
        return
    lots = rollups.id_hashes(batch["exchange_id"])
    drawn = (lots % np.uint64(tally.sample_one_in) == 0) & batch["prompt"].is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(drawn)
    if not len(rows):
        return
    chosen = batch.select(["exchange_id", "account_id", "prompt"]).take(pa.array(rows))
    ids, accounts = (chosen[name].cast(pa.string()).to_pylist() for name in ("exchange_id", "account_id"))
    texts = pc.utf8_slice_codeunits(chosen["prompt"], 0, MAX_EXEMPLAR_CHARS).to_pylist()
    tally.lots.update(zip(ids, lots[rows].tolist(), strict=True))
    tally.exemplars.update(zip(ids, zip(accounts, texts, strict=True), strict=True))
    thin(tally)


def thin(tally: Tally) -> None:
    """Thin the sample by halves until it is small enough to hold."""
    while len(tally.exemplars) > MAX_EXEMPLARS:
        tally.sample_one_in *= 2
        tally.lots = {name: lot for name, lot in tally.lots.items() if lot % tally.sample_one_in == 0}
        tally.exemplars = {name: tally.exemplars[name] for name in tally.lots}


_SIGNALS = _encoded(arrow_schema(SIGNALS), SIGNALS.names)
NUMBERED_SIGNALS = _SIGNALS.append(ingest.EXCHANGE_KEY)  # as a batch is read from files, and as a stream keeps it
PACKED_SIGNALS = pa.schema(
    [f.with_type(_packed(f.type)) for f in NUMBERED_SIGNALS if f.name not in ("exchange_id", "session_id")]
)
